"""NIfTI volumes as NumPy arrays, with exact statistics; batches of patches and crops for training.

    import assay_volumes as av

    image = av.load("ct.nii.gz")            # image.data, image.affine, image.header, image.stats
    volume = av.Volume("ct.nii.gz")         # reads the header only
    patch = volume[100:164, 100:164, 60]    # reads what it needs
    for batch in av.Loader(paths, av.RandomCrop((96, 96, 96)), batch=2, samples=1000):
        batch.pixels                        # (2, 1, 96, 96, 96) float32

The README of the package has the snippets for nibabel, PyTorch and MONAI.
"""

from ._errors import (
    ConversionError,
    DeniedFileError,
    FileError,
    ForkError,
    FormatError,
    GzipError,
    InternalError,
    LoaderError,
    MissingFileError,
    NoFileError,
    RegionError,
    SettingError,
    TooLargeError,
    TruncatedError,
    UnfitError,
    VolumeError,
)
from ._loader import (
    AsymmetricPatches,
    Augment,
    CenterCrop,
    Clip,
    ClipPercentiles,
    CropForeground,
    Loader,
    Pad,
    PosNegCrop,
    RandomCrop,
    ScaleRange,
    Spacing,
    ZScore,
)
from ._native import Batch, Batches, Volume, __version__, free_scratch
from ._types import Counters, Image, Losses, Skipped, Stats, load

__all__ = [
    "AsymmetricPatches",
    "Augment",
    "Batch",
    "Batches",
    "CenterCrop",
    "Clip",
    "ClipPercentiles",
    "ConversionError",
    "Counters",
    "CropForeground",
    "DeniedFileError",
    "FileError",
    "ForkError",
    "FormatError",
    "GzipError",
    "Image",
    "InternalError",
    "Loader",
    "LoaderError",
    "Losses",
    "MissingFileError",
    "NoFileError",
    "Pad",
    "PosNegCrop",
    "RandomCrop",
    "RegionError",
    "ScaleRange",
    "SettingError",
    "Skipped",
    "Spacing",
    "Stats",
    "TooLargeError",
    "TruncatedError",
    "UnfitError",
    "Volume",
    "VolumeError",
    "ZScore",
    "__version__",
    "free_scratch",
    "load",
]
