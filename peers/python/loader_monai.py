"""The samples of loader_peer.py made with MONAI: its reader, cache, resampling and loader.

Volumes are read, turned to RAS and given their statistics by transforms that `CacheDataset` applies once and `Dataset` every time. A sample
is one `Resample` of all points of both views, in float32, and one `ScaleIntensityRange` for each view; `DataLoader` makes batches. That is the
least work that MONAI's parts allow: no deep copy of a cached volume, no call for every patch. A pool that is replaced on a schedule from
outside cannot be told to them: `SmartCacheDataset` replaces by epochs, in an order of its own.
"""

import itertools
import sys
import time
from importlib.metadata import version

import peer

try:
    import numpy as np
    import torch
    from loader_peer import EDGE_MM, SIDE, Sample, robust_window_stats
    from monai.data import CacheDataset, DataLoader, Dataset
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Orientationd, Resample, ScaleIntensityRange, Transform

    MISSING = None
except ImportError as error:
    MISSING = f"MONAI is not installed completely: {error}"
    Transform = object


class Statistics(Transform):
    """Adds the median and deviation of the volume, clipped to percentiles."""

    def __call__(self, item):
        found = robust_window_stats(item["image"].numpy())
        if not np.isfinite(found).all():
            raise ValueError("a volume has no statistics")
        return item | {"statistics": found}


def positions(volume, affine, sample):
    """Where the pixels of both views are, in voxels: (2, n, 16, 16, 3)."""
    inverse, limits = np.linalg.inv(affine), np.array(volume.shape[1:]) - 1
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    places = sample.anchors[:, None] + sample.points
    centers = np.clip(places @ inverse[:3, :3].T + inverse[:3, 3], 0, limits)
    out = np.empty((2, centers.shape[1], SIDE, SIDE, 3))
    # View A: blocks of whole voxels, resized to 16 x 16 pixels.
    extent = np.maximum(np.rint(EDGE_MM / spacing[:2]).astype(np.int64), 1)
    nearest = np.rint(centers[0])
    steps = [np.clip((np.arange(SIDE) + 0.5) * n / SIDE - 0.5, 0, n - 1) - n // 2 for n in extent]
    out[0, ..., 0] = nearest[:, 0, None, None] + steps[0][:, None]
    out[0, ..., 1] = nearest[:, 1, None, None] + steps[1]
    out[0, ..., 2] = nearest[:, 2, None, None]
    # View B: a grid of 2 mm in a plane that is rotated.
    offsets = 2.0 * np.arange(SIDE) - 15.0
    plane = offsets[None, :, None] * sample.rotation[:, 0] + offsets[:, None, None] * sample.rotation[:, 1]
    out[1] = centers[1][:, None, None, :] + plane @ inverse[:3, :3].T
    return out


class Samples(torch.utils.data.Dataset if MISSING is None else object):
    """Samples of a schedule, [2, n, 16, 16] each, out of a dataset of volumes."""

    def __init__(self, volumes, samples):
        self.volumes, self.samples = volumes, samples
        self.resample = Resample(mode="bilinear", padding_mode="zeros", dtype=torch.float32)

    def __getitem__(self, number):
        sample = self.samples[number]
        image = self.volumes[sample.file]["image"]
        grid = positions(image, image.affine.numpy(), sample) - (np.array(image.shape[1:]) - 1) / 2
        grid = torch.from_numpy(grid.reshape(-1, SIDE, SIDE, 3).transpose(3, 0, 1, 2).astype(np.float32))
        pixels = self.resample(image.as_tensor(), grid).reshape(2, -1, SIDE, SIDE)
        views = []
        for view, (center, width) in zip(pixels, sample.windows):
            low, high = center - width / 2, center + width / 2
            views.append(ScaleIntensityRange(low, high, -1, 1, clip=True)(view))
        return torch.stack([torch.as_tensor(view) for view in views])

    def __len__(self):
        return len(self.samples)


class Again:
    """The numbers of the samples, again and again: what a DataLoader takes as its sampler."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return itertools.cycle(range(self.count))


class Implementation:
    def describe(self):
        if MISSING is not None:
            return {"unavailable": MISSING}
        settings = f"Python {sys.version.split()[0]}, torch {version('torch')}, numpy {version('numpy')}"
        return {"name": "monai", "version": version("monai"), "settings": settings}

    def load(self, case, params, inputs):
        begin = time.perf_counter()
        with open(f"{inputs}/files") as file:
            paths = file.read().splitlines()
        patches, workers, batch = params["patches"], params["workers"], params["batch"]
        rows = np.fromfile(f"{inputs}/samples", dtype="<f8").reshape(-1, 20 + 6 * patches)
        samples = [Sample(row, patches) for row in rows]
        # Volumes that no sample is from are not read.
        used = sorted({sample.file for sample in samples})
        for sample in samples:
            sample.file = used.index(sample.file)
        steps = [LoadImaged("image", image_only=True), EnsureChannelFirstd("image")]
        steps = Compose([*steps, Orientationd("image", axcodes="RAS", labels=None), Statistics()])
        items = [{"image": paths[file]} for file in used]
        is_cold = params["cache"] == "cold"
        volumes = Dataset(items, steps) if is_cold else CacheDataset(items, steps, copy_cache=False, progress=False)
        data = Samples(volumes, samples)
        batches = lambda: iter(DataLoader(data, batch_size=batch, num_workers=workers, sampler=Again(len(samples))))
        stream = batches()
        next(stream)
        prepare_s = time.perf_counter() - begin
        proved = lambda: itertools.islice(batches(), len(samples) // batch)
        return {
            "ran": f"monai, {workers} worker processes",
            "run": lambda: next(stream),
            "output": lambda: b"".join(views.numpy().astype("<f4").tobytes() for views in proved()),
            "prepare_s": prepare_s,
        }


if __name__ == "__main__":
    peer.serve(Implementation())
