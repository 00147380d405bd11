"""Files for tests, written by nibabel, and what nibabel reads from them."""

import contextlib
import tempfile
from pathlib import Path

import nibabel
import numpy as np

# An affine with rotation, anisotropic steps and an offset: its axes run to L, P and S.
AFFINE = np.array([[-1.5, 0.1, 0.0, 40.0], [0.05, -2.0, 0.1, 30.0], [0.0, 0.1, 3.0, -20.0], [0.0, 0.0, 0.0, 1.0]])


@contextlib.contextmanager
def directory():
    """A directory that is gone afterward."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def write(path, data, affine=AFFINE, slope=None, inter=None, kind=nibabel.Nifti1Image):
    """Writes stored values, with slope and intercept where they are given; the path as text."""
    image = kind(data, affine)
    if slope is not None:
        image.header.set_slope_inter(slope, inter)
    nibabel.save(image, path)
    return str(path)


def stored(dtype="int16", shape=(21, 17, 13), seed=0):
    """Values of a skull-stripped image: a third of them 0."""
    random = np.random.default_rng(seed)
    values = random.normal(300, 80, shape) * (random.random(shape) > 1 / 3)
    return values.clip(0, 250 if np.dtype(dtype).itemsize == 1 else 4000).astype(dtype)


def scaled(path):
    """What nibabel makes of a file, in float64."""
    return nibabel.load(path).get_fdata()


def brains(path, count, shape=(40, 36, 30)):
    """Some files of brain size, halved, and their paths."""
    return [write(path / f"{i}.nii.gz", stored(shape=shape, seed=i)) for i in range(count)]
