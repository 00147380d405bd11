"""The loader of gangaramstyle/volume-benchmarking, `custom_fused`, on nibabel and NumPy: a sample is two views of patches of a volume.

Its steps, with NumPy in place of PyTorch: nibabel's `as_closest_canonical` and `get_fdata`, then float32; for every sample the
percentiles, median and deviation of the whole volume; view A by slices, each resized by itself; view B by one trilinear
interpolation of all its points. What is random about a sample is an input, so that all loaders make the same ones.
"""

import sys
import time
from importlib.metadata import version

import nibabel
import numpy as np
import peer

SIDE = 16
EDGE_MM = 32.0


def decoded(path):
    """Voxels as float32 and the affine, with axes in the order R, A, S."""
    image = nibabel.as_closest_canonical(nibabel.load(path))
    return image.get_fdata().astype(np.float32), image.affine


def robust_window_stats(volume):
    low, high = np.percentile(volume, [0.5, 99.5])
    clipped = np.clip(volume, low, high)
    return float(np.median(clipped)), float(clipped.std())


def taps(extent):
    """Lower and upper voxels and the upper ones' weights of 16 pixels over `extent` voxels."""
    at = np.maximum((np.arange(SIDE) + 0.5) * extent / SIDE - 0.5, 0.0)
    lower = at.astype(np.int64)
    return lower, np.minimum(lower + 1, extent - 1), (at - lower).astype(np.float32)


def resized(block):
    """A block of voxels as 16 x 16 pixels, bilinear without aligned corners."""
    (x0, x1, wx), (y0, y1, wy) = taps(block.shape[0]), taps(block.shape[1])
    rows = block[x0] * (1 - wx)[:, None] + block[x1] * wx[:, None]
    return rows[:, y0] * (1 - wy) + rows[:, y1] * wy


def cut(volume, start, extent, z):
    """A block of one slice; voxels outside are 0."""
    block = np.zeros(extent, np.float32)
    first = np.maximum(start, 0)
    last = np.minimum(start + extent, volume.shape[:2])
    if np.all(first < last):
        inside = tuple(slice(f - s, l - s) for f, l, s in zip(first, last, start))
        block[inside] = volume[first[0] : last[0], first[1] : last[1], z]
    return block


def trilinear(volume, points):
    """Values at points of shape (..., 3), in voxels; voxels outside are 0."""
    floor = np.floor(points)
    weight = points - floor
    base = floor.astype(np.int64)
    total = np.zeros(points.shape[:-1], np.float32)
    for corner in np.ndindex(2, 2, 2):
        at = base + corner
        inside = np.all((at >= 0) & (at < volume.shape), axis=-1)
        share = np.prod(np.where(corner, weight, 1 - weight), axis=-1)
        x, y, z = np.moveaxis(np.where(inside[..., None], at, 0), -1, 0)
        total += np.where(inside, share * volume[x, y, z], 0).astype(np.float32)
    return total


class Sample:
    """What is random about a sample: file, windows, anchors, rotation, points."""

    def __init__(self, row, patches):
        self.file = int(row[0])
        self.windows = row[1:5].reshape(2, 2)
        self.anchors = row[5:11].reshape(2, 3)
        self.rotation = row[11:20].reshape(3, 3)
        self.points = row[20:].reshape(2, patches, 3)


def windowed(patches, window):
    center, width = window
    return np.clip(2 * (patches - center) / width, -1, 1).astype(np.float32)


def patches_of(volume, affine, sample):
    """Both views, [2, n, 16, 16]."""
    inverse = np.linalg.inv(affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    limits = np.array(volume.shape) - 1
    centers = [
        np.clip((sample.anchors[view] + sample.points[view]) @ inverse[:3, :3].T + inverse[:3, 3], 0, limits)
        for view in (0, 1)
    ]
    extent = np.maximum(np.rint(EDGE_MM / spacing[:2]).astype(np.int64), 1)
    view_a = []
    for center in np.rint(centers[0]).astype(np.int64):
        view_a.append(resized(cut(volume, center[:2] - extent // 2, extent, center[2])))
    offsets = 2.0 * np.arange(SIDE) - 15.0
    plane = offsets[None, :, None] * sample.rotation[:, 0] + offsets[:, None, None] * sample.rotation[:, 1]
    points = centers[1][:, None, None, :] + plane @ inverse[:3, :3].T
    view_b = trilinear(volume, points)
    return np.stack([windowed(np.stack(view_a), sample.windows[0]), windowed(view_b, sample.windows[1])])


class Implementation:
    def describe(self):
        settings = f"Python {sys.version.split()[0]}, numpy {version('numpy')}"
        return {"name": "nibabel", "version": version("nibabel"), "settings": settings}

    def load(self, case, params, inputs):
        begin = time.perf_counter()
        with open(f"{inputs}/files") as file:
            paths = file.read().splitlines()
        patches = params["patches"]
        rows = np.fromfile(f"{inputs}/samples", dtype="<f8").reshape(-1, 20 + 6 * patches)
        samples = [Sample(row, patches) for row in rows]
        is_cold = params["cache"] == "cold"
        # A pool of all volumes is loaded before the first sample, as the original does.
        pool = {} if is_cold else {at: decoded(paths[at]) for at in sorted({sample.file for sample in samples})}
        count = [0]

        def made(sample):
            volume, affine = decoded(paths[sample.file]) if is_cold else pool[sample.file]
            median, deviation = robust_window_stats(volume)
            if not (np.isfinite(median) and np.isfinite(deviation)):
                raise ValueError(f"{paths[sample.file]} has no statistics")
            return patches_of(volume, affine, sample)

        def run():
            made(samples[count[0] % len(samples)])
            count[0] += 1

        run()
        prepare_s = time.perf_counter() - begin
        return {
            "ran": "nibabel, numpy, one thread",
            "run": run,
            "output": lambda: b"".join(made(sample).astype("<f4").tobytes() for sample in samples),
            "prepare_s": prepare_s,
        }


if __name__ == "__main__":
    peer.serve(Implementation())
