"""Compares our preparation of volumes, `assay nifti prepare`, with SimpleITK and with NumPy by MONAI's definitions."""

import itertools
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
from counts import Counts
from ours import Ours
from prepared_volumes import SPACINGS, prepared, tell, volumes


def resampled(path, spacing, interpolator):
    """SimpleITK's resampling to a grid of the same origin and direction, with the size that MONAI gives it."""
    image = sitk.ReadImage(str(path))
    old = np.array(image.GetSpacing())
    size = np.maximum(np.round((np.array(image.GetSize()) - 1) * old / spacing + 1), 1).astype(int)
    resample = sitk.ResampleImageFilter()
    resample.SetSize([int(n) for n in size])
    resample.SetOutputSpacing([float(x) for x in spacing])
    resample.SetOutputOrigin(image.GetOrigin())
    resample.SetOutputDirection(image.GetDirection())
    resample.SetInterpolator(interpolator)
    resample.UseNearestNeighborExtrapolatorOn()
    resample.SetOutputPixelType(sitk.sitkFloat64 if interpolator == sitk.sitkLinear else sitk.sitkUInt8)
    return sitk.GetArrayFromImage(resample.Execute(image)).T


def is_inside(path, spacing, shape):
    """Voxels of the new grid up to half a voxel behind the last one: beyond, SimpleITK takes the nearest voxel along all axes, and
    MONAI's border, which ours is, along the axis that ends."""
    image = sitk.ReadImage(str(path))
    steps = np.array(spacing) / image.GetSpacing()
    axes = [np.arange(n) * step <= last - 0.5 for n, step, last in zip(shape, steps, image.GetSize())]
    return np.ix_(*axes)


def clipped_by_percentiles(data, low, high):
    """MONAI's ClipIntensityPercentiles."""
    return np.clip(data, *np.percentile(data, [low, high]))


def ranged(data, a_min, a_max, b_min, b_max):
    """MONAI's ScaleIntensityRange with clip=True."""
    return np.clip((data - a_min) / (a_max - a_min) * (b_max - b_min) + b_min, b_min, b_max)


def normalized(data, nonzero):
    """MONAI's NormalizeIntensity(nonzero)."""
    chosen = data != 0 if nonzero else np.ones(data.shape, bool)
    out = data.copy()
    out[chosen] = (data[chosen] - data[chosen].mean()) / (data[chosen].std() or 1.0)
    return out


def foreground(data, above, margin):
    """Slices of MONAI's CropForeground with allow_smaller=True."""
    places = np.argwhere(data > above)
    first = np.maximum(places.min(0) - margin, 0)
    last = np.minimum(places.max(0) + margin + 1, data.shape)
    return tuple(slice(a, b) for a, b in zip(first, last))


def padded(data, size):
    """MONAI's SpatialPad(method="symmetric")."""
    widths = [max(n - have, 0) for n, have in zip(size, data.shape)]
    return np.pad(data, [(width // 2, width - width // 2) for width in widths])


def spacings(counts, ours, volume, name):
    for spacing in SPACINGS:
        spacing = np.array(spacing, float)
        mine, marks, affine = prepared(ours, volume, "--spacing", ",".join(map(str, spacing)))
        theirs = resampled(volume.image, spacing, sitk.sitkLinear)
        counts.tell("spacing: SimpleITK, extents", f"{name} to {spacing}", theirs.shape == mine.shape, f"ours {mine.shape}")
        inside = is_inside(volume.image, spacing, mine.shape)
        tell(counts, "spacing: SimpleITK, linear", f"{name} to {spacing}", theirs[inside], mine[inside])
        theirs = resampled(volume.labels, spacing, sitk.sitkNearestNeighbor)
        counts.tell("spacing: SimpleITK, nearest labels", f"{name} to {spacing}", np.array_equal(theirs, marks))
        before = nibabel.load(volume.image).affine
        zoomed = before @ np.diag([*(spacing / np.linalg.norm(before[:3, :3], axis=0)), 1])
        counts.tell("spacing: affine", f"{name} to {spacing}", np.allclose(zoomed, affine, atol=1e-4), f"{affine.tolist()}")


def intensities(counts, ours, volume, name):
    data = volume.data
    for low, high in ((0.5, 99.5), (2, 90), (0, 100)):
        theirs = clipped_by_percentiles(data, low, high)
        if low > 0 or high < 100:
            mine = prepared(ours, volume, "--clip-percentiles", f"{low},{high}")[0]
            tell(counts, "clip by percentiles", f"{name} {low} {high}", theirs, mine)
        for nonzero in (False, True):
            options = ("--clip-percentiles", f"{low},{high}", "--zscore", "nonzero" if nonzero else "all")
            tell(counts, "z-score", f"{name} {options}", normalized(theirs, nonzero), prepared(ours, volume, *options)[0])
    clamp = sitk.ClampImageFilter()
    clamp.SetLowerBound(50.0)
    clamp.SetUpperBound(330.0)
    clamp.SetOutputPixelType(sitk.sitkFloat32)
    theirs = sitk.GetArrayFromImage(clamp.Execute(sitk.ReadImage(str(volume.image)))).T
    tell(counts, "clip: SimpleITK", name, theirs, prepared(ours, volume, "--clip", "50,330")[0])
    for bounds in ((-57, 164, 0, 1), (100, 400, -1, 1)):
        mine = prepared(ours, volume, "--range", ",".join(map(str, bounds)))[0]
        tell(counts, "range", f"{name} {bounds}", ranged(data, *bounds), mine)


def boxes(counts, ours, volume, name):
    data = volume.data
    for above, margin, size in itertools.product((0, 250), (0, 2), ((0, 0, 0), (37, 12, 40))):
        box = foreground(data, above, margin)
        options = ("--foreground", above, "--margin", margin, "--pad", ",".join(map(str, size)))
        mine, marks, _ = prepared(ours, volume, "--clip-percentiles", "0,99.9", *options)
        theirs = padded(clipped_by_percentiles(data, 0, 99.9)[box], size)
        tell(counts, "foreground and padding", f"{name} {options}", theirs, mine)
        theirs = padded(np.asarray(nibabel.load(volume.labels).dataobj)[box], size)
        counts.tell("foreground and padding: labels", f"{name} {options}", np.array_equal(theirs, marks))


def in_order(counts, ours, volume, name):
    """All steps in the order of training, from SimpleITK's voxels on."""
    spacing = np.array(SPACINGS[0])
    data = resampled(volume.image, spacing, sitk.sitkLinear)
    if len(data[is_inside(volume.image, spacing, data.shape)].ravel()) < data.size:
        counts.leave_out("all steps", "the grid ends more than half a voxel behind the volume")
        return
    # Resampled in f64 and in f32, a value may be 0 in one only: the foreground is above a small number.
    data = normalized(clipped_by_percentiles(data, 0.5, 99.5), False)
    box = foreground(data, 0.1, 1)
    options = ("--spacing", ",".join(map(str, SPACINGS[0])), "--clip-percentiles", "0.5,99.5", "--zscore", "all")
    mine = prepared(ours, volume, *options, "--foreground", "0.1", "--margin", "1", "--pad", "48,48,48")[0]
    tell(counts, "all steps", name, padded(data[box], (48, 48, 48)), mine)


def main():
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    counts = Counts()
    random = np.random.default_rng(20261127)
    with tempfile.TemporaryDirectory() as directory:
        ours = Ours(sys.argv[1], directory)
        for name, volume in volumes(random, Path(directory)):
            for compare in (spacings, intensities, boxes, in_order):
                compare(counts, ours, volume, name)
    print(counts.line(f"SimpleITK {sitk.Version.VersionString()}, NumPy {np.__version__}"))


if __name__ == "__main__":
    main()
