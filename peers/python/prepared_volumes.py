"""Volumes with labels for comparisons of our preparation, `assay nifti prepare`."""

import itertools

import nibabel
import numpy as np

SHAPES = [(23, 20, 17), (40, 9, 31), (6, 33, 12)]
# No voxel lies at a half, and no extent ends in one: there, the last bit of a header's number would decide.
SPACINGS = [(1.03, 1.03, 1.03), (0.613, 2.03, 1.29), (2.47, 0.93, 3.11)]
# The largest difference of float32 results that count as equal, as a share of the range of values.
TOLERANCE = 1e-5


class Volume:
    """A volume with labels, in files: smooth values and zeros around them, in the order RAS."""

    def __init__(self, random, directory, shape, spacing):
        self.image, self.labels = directory / "image.nii", directory / "labels.nii"
        grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
        inside = (grid**2).sum(0) < random.uniform(0.4, 1.2)
        data = np.where(inside, random.normal(300, 90, shape), 0).round().astype(np.int16)
        marks = (inside & (grid[0] > 0)).astype(np.uint8) * 3
        turn = nibabel.eulerangles.euler2mat(*random.uniform(-0.2, 0.2, 3))
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag(spacing)
        affine[:3, 3] = random.uniform(-90, 90, 3)
        for path, values in ((self.image, data), (self.labels, marks)):
            nibabel.save(nibabel.Nifti1Image(values, affine), path)
        self.data = data.astype(np.float64)


def prepared(ours, volume, *options):
    """Voxels and labels that ours makes, and the affine."""
    out, marks = ours.directory / "out.nii.gz", ours.directory / "marks.nii"
    ours.run("prepare", volume.image, out, "--labels", volume.labels, "--labels-out", marks, *options)
    image = nibabel.load(out)
    return image.get_fdata(), np.asarray(nibabel.load(marks).dataobj), image.affine


def tell(counts, what, name, theirs, mine):
    if theirs.shape != mine.shape:
        counts.tell(what, name, False, f"shape {theirs.shape}, ours {mine.shape}")
        return
    error = np.abs(theirs - mine).max() / max(np.ptp(theirs), 1.0)
    counts.tell(what, name, bool(error <= TOLERANCE), f"voxels differ by {error:.2e} of their range")


def volumes(random, directory):
    """Volumes of all extents and distances of voxels, each with its name; the files of one replace those of the one before."""
    files = directory / "files"
    files.mkdir()
    for shape, spacing in itertools.product(SHAPES, ((1.0, 1.0, 1.0), (0.7, 1.9, 1.2), (0.5, 0.5, 3.0))):
        yield f"{shape} {spacing}", Volume(random, files, shape, spacing)
