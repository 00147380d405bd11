"""What calls return: plain values, which can be pickled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from ._native import Volume


class Stats(NamedTuple):
    """Exact statistics of the scaled values, before any clipping or normalization, in float64.

    Each equals NumPy's figure for the array of float64: `percentile` with its default method, `median`, `mean`, `std`
    with `ddof=0`; with the `nan` functions where there are NaN.
    """

    n: int
    """Voxels that are numbers."""
    n_nan: int
    """Voxels that are NaN, which all other figures ignore."""
    n_nonzero: int
    """Voxels that are numbers other than 0."""
    min: float
    max: float
    mean: float
    std: float
    p0_5: float
    """The 0.5th percentile."""
    median: float
    p99_5: float
    """The 99.5th percentile."""
    robust_mean: float
    """Mean of the values clipped to `p0_5 .. p99_5`."""
    robust_std: float
    """Standard deviation of the values clipped to `p0_5 .. p99_5`."""


class Losses(NamedTuple):
    """Voxels whose value the output type does not have. Integers are exact or refused, so theirs is always zero."""

    whole: int
    """Whole numbers that were rounded, such as label ids above 2^24 in float32."""
    overflowed: int
    """Finite values that became infinite."""
    underflowed: int
    """Values so small that they became zero or lost digits."""


class Skipped(NamedTuple):
    """A file that a loader left out."""

    file: int
    """Its number in `Loader.files`."""
    reason: str


class Counters(NamedTuple):
    """What a running loader has done so far, batches that wait to be taken included."""

    samples: int
    loads: int
    """Volumes decoded."""
    replacements: int
    """Of them, those that replaced another in the pool."""
    decoded_bytes: int
    """Bytes of voxels, as files store them, once unpacked."""
    volume_waits: int
    """Samples that waited for their volume."""
    volume_wait_s: float
    batch_waits: int
    """Batches that the caller waited for."""
    batch_wait_s: float
    peak_volume_bytes: int
    """Most bytes of volumes held at once."""
    skipped: list[Skipped]

    @classmethod
    def _of(cls, *values: Any) -> Counters:
        *numbers, skipped = values
        return cls._make([*numbers, [Skipped(*each) for each in skipped]])


class Image:
    """Voxels in memory, with what belongs to them.

    NumPy functions take it as an array (`numpy.asarray(image)` does not copy), and so does whatever speaks DLPack.
    """

    __slots__ = ("access", "affine", "data", "losses", "source", "stats")

    data: NDArray[Any]
    """The voxels, shape (x, y, z, …), x fastest in memory (Fortran order), writable, in this machine's byte order."""
    affine: NDArray[np.float64]
    """Maps voxel indices (i, j, k, 1) to RAS+ coordinates in the header's unit, millimeters in nearly every file."""
    stats: Stats | None
    """Statistics of what was read, where they were asked for."""
    losses: Losses
    """Voxels whose value the type of `data` does not have."""
    source: Volume
    """The file."""
    access: str
    """How the file was read: "read by blocks", "gzip", "index", …"""

    def __init__(
        self,
        data: NDArray[Any],
        affine: NDArray[np.float64],
        stats: Stats | None,
        source: Volume,
        losses: tuple[int, int, int] = (0, 0, 0),
        access: str = "",
    ) -> None:
        self.data = data
        self.affine = affine
        self.stats = stats
        self.source = source
        self.losses = Losses(*losses)
        self.access = access

    @property
    def header(self) -> dict[str, Any]:
        """The file's header, fields named as in nifti1.h. Its extents and affine are those of the file."""
        return self.source.header

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Length of a step along each axis of `data`, in the affine's unit."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0)).tolist()
        return x, y, z

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return _as_array(self.data, dtype, copy)

    def __dlpack__(self, **options: Any) -> Any:
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.data.__dlpack_device__()

    def __reduce__(self) -> tuple[Any, ...]:
        return Image, (self.data, self.affine, self.stats, self.source, tuple(self.losses), self.access)

    def __repr__(self) -> str:
        return f"Image(shape={self.data.shape}, dtype={self.data.dtype}, stats={self.stats}, source={self.source!r})"


def _as_array(array: NDArray[Any], dtype: DTypeLike | None, copy: bool | None) -> NDArray[Any]:
    """What `__array__` returns, by the rules of NumPy 2, on NumPy 1 as well."""
    if dtype is not None and array.dtype != np.dtype(dtype):
        if copy is False:
            raise ValueError(f"{array.dtype} cannot become {np.dtype(dtype)} without a copy")
        return array.astype(dtype)
    return array.copy(order="K") if copy else array


def _open(path: str, verify: bool, is_mapped: bool) -> Volume:
    """Opens a volume again, in another process or later."""
    from ._native import Volume

    return Volume(path, verify=verify, map=is_mapped)


def load(
    path: Any,
    dtype: DTypeLike | None = "float32",
    *,
    orient: str | None = None,
    clip: tuple[float, float] | None = None,
    clip_percentiles: tuple[float, float] | None = None,
    zscore: str | None = None,
    stats: bool | None = None,
    out: NDArray[Any] | None = None,
    threads: int = 1,
    verify: bool = True,
) -> Image:
    """Reads a `.nii`, `.nii.gz` or `.hdr`/`.img` file into a NumPy array.

    A file is what its content says, whatever its name. Slope and intercept are applied, as `nibabel`'s `get_fdata`
    does. `image.stats` has exact statistics: from the same pass as the conversion where voxels have 8 or 16 bits, from
    a few more passes over memory where they have more; `stats=False` leaves them out. Voxels as they are stored
    (`dtype="stored"`) come without. The other arguments are those of `Volume.load`.

    Raises a subclass of `VolumeError`: `MissingFileError`, `FormatError`, `TruncatedError`, `GzipError`, …
    """
    from ._native import Volume

    if stats is None:
        stats = not (isinstance(dtype, str) and dtype == "stored")
    return Volume(path, verify=verify).load(
        dtype,
        orient=orient,
        clip=clip,
        clip_percentiles=clip_percentiles,
        zscore=zscore,
        stats=stats,
        out=out,
        threads=threads,
    )
