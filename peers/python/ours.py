"""Our reader and writer, through `assay nifti`; and comparison of arrays."""

import json
import subprocess
from pathlib import Path

import numpy as np


class Refused(Exception):
    """Our program ended with an error."""


class Ours:
    def __init__(self, program, directory):
        self.program = program
        self.directory = Path(directory)

    def run(self, *arguments):
        done = subprocess.run([self.program, "nifti", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode < 0 or done.returncode > 1:
            raise RuntimeError(f"{arguments}: ended with {done.returncode}: {done.stderr}")
        if done.returncode == 1:
            raise Refused(done.stderr.strip())
        return done.stdout

    def array(self, path, *options):
        """The array that our reader makes of a file: without options, of the stored values."""
        out = self.directory / "ours.npy"
        self.run("convert", path, out, *(options or ("--type", "stored")))
        return np.load(out)

    def info(self, path):
        return json.loads(self.run("info", "--json", path))[0]


def native(array):
    """The same values in native byte order."""
    return array.astype(array.dtype.newbyteorder("="))


def same_bits(a, b):
    """Whether shape, type and all bits are equal, apart from byte order."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.newbyteorder("=") != b.dtype.newbyteorder("="):
        return False
    return native(a).tobytes("F") == native(b).tobytes("F")


def within_one_ulp(a, b):
    """Whether the values as float32 differ by at most one unit in the last place; NaN agrees with NaN."""
    if a.shape != b.shape:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        a, b = np.asarray(a, dtype=np.float32), np.asarray(b, dtype=np.float32)
        near = np.abs(a - b) <= np.spacing(np.abs(b))
    return bool(np.all(near | (a == b) | (np.isnan(a) & np.isnan(b))))


def unlike(a, b):
    """The largest difference of two arrays, in words."""
    if a.shape != b.shape:
        return f"shape {a.shape}, ours {b.shape}"
    if a.dtype.names or a.dtype.newbyteorder("=") != b.dtype.newbyteorder("="):
        return f"type {a.dtype}, ours {b.dtype}"
    with np.errstate(all="ignore"):
        apart = np.flatnonzero(~((a == b) | ((a != a) & (b != b))).ravel("F"))
    if not apart.size:
        return "equal values of other bits"
    at = int(apart[0])
    return f"{apart.size} voxels, the first is {a.ravel('F')[at]}, ours {b.ravel('F')[at]}"
