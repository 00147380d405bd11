"""Settings of a loader: plain values that can be compared, printed and pickled. Threads start with `iter(loader)`."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Union

from ._errors import SettingError
from ._native import Batches

_SEEDS = 1 << 64
# An odd number with evenly spread bits: seeds of shards are far apart.
_SHARD_STEP = 0x9E3779B97F4A7C15


@dataclass(frozen=True)
class AsymmetricPatches:
    """Two views of a volume for contrastive training: `pixels` has the shape (batch, 2, patches, 16, 16).

    View A shows blocks of 32 x 32 mm in the planes of the volume, view B points 2 mm apart in planes that are rotated
    by up to 20 degrees about each axis, around an anchor 20 to 30 mm away. Each view has a random window; pixels are
    -1 to 1. `labels`: "windows" (batch, 2, [center, width]), "anchors" (batch, 2, 3) and "delta" (batch, 3) in mm, "degrees"
    (batch, 3), "rotation" (batch, 3, 3), "radii" (batch, 2) in mm, "points" (batch, 2, patches, 3) in mm from the anchor.
    """

    patches: int


@dataclass(frozen=True)
class RandomCrop:
    """A crop at a place that is uniform among all that fit: `pixels` has the shape (batch, 1, *size).

    MONAI's `RandSpatialCrop(roi_size, random_size=False)`, after `SpatialPad` where the volume is smaller. `labels`:
    "start" (batch, 3), the first voxel in the volume reoriented to RAS; negative where it was padded.
    """

    size: tuple[int, int, int]


@dataclass(frozen=True)
class CenterCrop:
    """The crop around the middle: MONAI's `CenterSpatialCrop`. Shapes and labels as of `RandomCrop`."""

    size: tuple[int, int, int]


@dataclass(frozen=True)
class PosNegCrop:
    """A crop around a voxel with a label other than 0, with the probability positive / (positive + negative), else
    around one with label 0: MONAI's `RandCropByPosNegLabel`. Needs `Loader(labels=…)`.

    `pixels` has the shape (batch, 2, *size): the image, then its labels. `labels`: "start" as of `RandomCrop`,
    "is_positive" (batch,).
    """

    size: tuple[int, int, int]
    positive: float = 1.0
    negative: float = 1.0


@dataclass(frozen=True)
class Spacing:
    """Resamples to these distances of voxels along x, y and z, in mm: trilinear, labels to the nearest voxel. MONAI's `Spacing(pixdim,
    padding_mode="border")` with `scale_extent=False`, SimpleITK's `Resample` with `sitkLinear`."""

    mm: tuple[float, float, float]


@dataclass(frozen=True)
class Clip:
    """Moves values outside of the bounds to the bounds: `torch.clamp`."""

    low: float
    high: float


@dataclass(frozen=True)
class ClipPercentiles:
    """Clips to percentiles, 0 to 100, of all voxels: MONAI's `ClipIntensityPercentiles`, NumPy's percentiles."""

    low: float
    high: float


@dataclass(frozen=True)
class ScaleRange:
    """Maps the range `source` linearly to `target`: MONAI's `ScaleIntensityRange(*source, *target, clip)`."""

    source: tuple[float, float]
    target: tuple[float, float] = (0.0, 1.0)
    clip: bool = False


@dataclass(frozen=True)
class ZScore:
    """To mean 0 and standard deviation 1, over "all" voxels or those that are "nonzero": MONAI's `NormalizeIntensity(nonzero)`."""

    over: str = "all"


@dataclass(frozen=True)
class CropForeground:
    """Cuts the box that holds all values above a threshold, and `margin` voxels around it: MONAI's `CropForeground`."""

    above: float = 0.0
    margin: int = 0


@dataclass(frozen=True)
class Pad:
    """Surrounds the volume by zeros up to this size: MONAI's `SpatialPad(size, method="symmetric")`."""

    size: tuple[int, int, int]


@dataclass(frozen=True)
class Augment:
    """Random changes of crops, in this order; labels are turned as their image, and keep their values.

    `labels` of a batch then also has "order" (batch, 3) and "is_flipped" (batch, 3): axis a of the crop became axis order[a], reversed where
    it is flipped; "noise" (batch, [mean, std]) and "gamma" (batch,), 0 and 1 where nothing happened.
    """

    flips: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Probabilities of a flip along x, y and z: MONAI's `RandFlip`."""
    rotations: tuple[float, tuple[int, int]] | None = None
    """(probability, axes): one to three right angles, MONAI's `RandRotate90`."""
    noise: tuple[float, float, float] | None = None
    """(probability, mean, largest std): MONAI's `RandGaussianNoise`."""
    gamma: tuple[float, tuple[float, float]] | None = None
    """(probability, range): MONAI's `RandAdjustContrast`."""


Step = Union[Spacing, Clip, ClipPercentiles, ScaleRange, ZScore, CropForeground, Pad]
Sampler = Union[AsymmetricPatches, RandomCrop, CenterCrop, PosNegCrop]
Path = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Loader:
    """Batches of samples from volumes that are reoriented to RAS, out of a pool that threads refill in the background.

    What sample i is depends on the files, the seed and i alone: the stream has the same bits with any number of workers
    and any size of batch. A loader is only settings; `iter(loader)` starts its threads, anew at sample 0 each time. For
    another stream take another seed: `dataclasses.replace(loader, seed=epoch)`.
    """

    files: Sequence[Path]
    """Images, `.nii` or `.nii.gz`."""
    sampler: Sampler
    prepare: Sequence[Step] = ()
    """Steps for whole volumes, done in this order once for every volume that is decoded."""
    augment: Augment | None = None
    """Random changes of crops."""
    labels: Sequence[Path | None] | None = None
    """Labels of the images, whole numbers 0 to 255; as many as there are files."""
    batch: int = 1
    """Samples of a batch."""
    workers: int = 1
    """Threads that make samples; with 0, `next` makes them itself, and Ctrl-C waits for it."""
    pool: int | None = 16
    """Volumes in memory; None decodes a file for every sample."""
    visits: int = 64
    """Samples that are taken from a volume before another takes its place."""
    decoders: int = 1
    """Threads that decode volumes for the pool."""
    ahead: int | None = None
    """Batches that workers fill ahead; two for each worker if None."""
    seed: int = 0
    shuffle: bool = True
    """Whether the order of the files is random, anew for each epoch."""
    samples: int | None = None
    """Ends after so many samples; None goes on for ever."""
    on_failure: str = "skip"
    """"skip" replaces a file that cannot be read by another and reports it in `Batches.counters.skipped`; "stop" raises its error."""
    dtype: str = "float32"
    """Type of pixels: "float32" or "float16"."""
    keep: str = "native"
    """Type of voxels in the pool: "native" is that of the file where it has 8 or 16 bits, "float32" is scaled."""

    def __post_init__(self) -> None:
        def put(field: str, value: object) -> None:
            object.__setattr__(self, field, value)

        if isinstance(self.files, (str, os.PathLike)):
            raise SettingError("files is one path; need a sequence of paths")
        put("prepare", tuple(self.prepare))
        put("files", tuple(os.fspath(path) for path in self.files))
        if self.labels is not None:
            put("labels", tuple(None if path is None else os.fspath(path) for path in self.labels))
            if len(self.labels) != len(self.files):
                raise SettingError(f"{len(self.labels)} labels for {len(self.files)} files")
        _check_numbers(self)
        _check_words(self)

    def __iter__(self) -> Batches:
        """Starts the threads."""
        return Batches(self)

    def __len__(self) -> int:
        """Batches of an iteration; a loader without end has no length."""
        if self.samples is None:
            raise TypeError("a loader without `samples` has no end")
        return -(-self.samples // self.batch)

    def shard(self, index: int, count: int) -> Loader:
        """Part `index` of `count`: its share of the files and of the samples, with a seed of its own. For processes
        that load side by side, such as workers of a DataLoader and ranks of a training in parallel."""
        if not 0 <= index < count:
            raise SettingError(f"shard {index} of {count}")
        if count > len(self.files):
            raise SettingError(f"{count} shards of {len(self.files)} files: take fewer, or none, since workers are threads")
        samples = None if self.samples is None else (self.samples - index + count - 1) // count
        return replace(
            self,
            files=self.files[index::count],
            labels=None if self.labels is None else self.labels[index::count],
            samples=samples,
            seed=(self.seed + index * _SHARD_STEP) % _SEEDS,
        )


def _check_numbers(loader: Loader) -> None:
    if not loader.files:
        raise SettingError("there are no files")
    least = {"batch": 1, "workers": 0, "visits": 1, "decoders": 1, "seed": 0}
    optional = {"pool": 1, "ahead": 1, "samples": 0}
    for field, minimum in (least | optional).items():
        value = getattr(loader, field)
        if value is None and field in optional:
            continue
        try:
            # Integers of NumPy are welcome, True is not.
            number = -1 if isinstance(value, bool) else operator.index(value)
        except TypeError:
            number = -1
        if not minimum <= number < _SEEDS:
            raise SettingError(f"{field} is {value!r}; need an integer of at least {minimum}")
        object.__setattr__(loader, field, number)


def _check_words(loader: Loader) -> None:
    words = {"on_failure": ("skip", "stop"), "dtype": ("float32", "float16"), "keep": ("native", "float32")}
    for field, allowed in words.items():
        value = getattr(loader, field)
        if value not in allowed:
            raise SettingError(f"{field} is {value!r}; need one of {', '.join(allowed)}")
    sampler = loader.sampler
    if not isinstance(sampler, (AsymmetricPatches, RandomCrop, CenterCrop, PosNegCrop)):
        raise SettingError(f"{sampler!r} is no sampler of this package")
    extents = (sampler.patches,) if isinstance(sampler, AsymmetricPatches) else tuple(sampler.size)
    if len(extents) not in (1, 3) or not all(isinstance(extent, int) and extent > 0 for extent in extents):
        raise SettingError(f"{sampler!r}: need positive integers, three for a size")
    if isinstance(sampler, PosNegCrop) and loader.labels is None:
        raise SettingError("PosNegCrop needs labels")
    steps = (Spacing, Clip, ClipPercentiles, ScaleRange, ZScore, CropForeground, Pad)
    for step in loader.prepare:
        if not isinstance(step, steps):
            raise SettingError(f"prepare has {step!r}; need steps of this package")
        if isinstance(step, ZScore) and step.over not in ("all", "nonzero"):
            raise SettingError(f"prepare has {step!r}; need \"all\" or \"nonzero\"")
    if loader.augment is not None and not isinstance(loader.augment, Augment):
        raise SettingError(f"augment is {loader.augment!r}; need an Augment")
    if loader.augment is not None and isinstance(sampler, AsymmetricPatches):
        raise SettingError("augment is for crops, not for AsymmetricPatches")
