"""Loaders from Python: crops of 64 x 64 x 64 voxels out of brain volumes in .nii.gz files, in batches of four.

    python loader_times.py PATH/TO/assay [--rounds 3] [--seconds 3] [--volumes 12]

Makes phantoms with `assay nifti phantom` in a temporary directory and prints a table. Every loader runs in a process of its own, all of
them in turns, `--rounds` times; the table has medians and ranges. Packages that are not installed are left out with a note.

`cold` decodes a file for every sample. `pool` takes 64 samples from each volume of a pool before it is replaced, in the background where
a loader has that. `cached` has all volumes decoded before the clock starts. A first batch counts from the making of the loader. Before a
row is shown, a crop of it is looked for in the voxels that nibabel reads: reoriented to RAS, or, for loaders that do not reorient, as
they are stored. medrs keeps ten unpacked files in a cache of its own: with more volumes than that, its `cold` is cold.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np

SIZE = (64, 64, 64)
BATCH = 4


def canonical(path):
    """A volume in the order RAS as float32, as nibabel's users read it."""
    return nibabel.as_closest_canonical(nibabel.load(path)).get_fdata(dtype=np.float32)


def place(random, shape):
    return tuple(slice(start, start + n) for start, n in ((random.integers(0, extent - n + 1), n) for extent, n in zip(shape, SIZE)))


def stacked(crops):
    """A batch (samples, 1, x, y, z) in C order, as MONAI and ours make them."""
    return np.ascontiguousarray(np.stack(crops)[:, None])


def nibabel_cold(paths):
    random = np.random.default_rng(0)
    while True:
        crops = []
        for path in random.choice(paths, BATCH):
            volume = canonical(path)
            crops.append(volume[place(random, volume.shape)])
        yield stacked(crops)


def nibabel_cached(paths):
    random = np.random.default_rng(0)
    volumes = [canonical(path) for path in paths]
    while True:
        chosen = (volumes[i] for i in random.integers(0, len(volumes), BATCH))
        yield stacked([volume[place(random, volume.shape)] for volume in chosen])


def assay(paths, **settings):
    import assay_volumes as av

    for batch in av.Loader(paths, av.RandomCrop(SIZE), batch=BATCH, **settings):
        yield batch.pixels


def medrs_cold(paths):
    import medrs

    while True:
        crops = []
        for image in medrs.FastLoader(paths, list(SIZE), workers=1, prefetch=8, shuffle=True, seed=0):
            crops.append(np.asarray(image.data))
            if len(crops) == BATCH:
                yield stacked(crops)
                crops = []


def monai(paths, is_cached):
    from monai.data import CacheDataset, DataLoader, Dataset
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Orientationd, RandSpatialCropd

    steps = Compose([
        LoadImaged("image"), EnsureChannelFirstd("image"), Orientationd("image", axcodes="RAS", labels=None),
        RandSpatialCropd("image", roi_size=SIZE, random_size=False),
    ])
    items = [{"image": path} for path in paths]
    data = CacheDataset(items, steps, progress=False) if is_cached else Dataset(items, steps)
    while True:
        for batch in DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=0):
            yield batch["image"].numpy()


# Name, package, mode, and the iterator of batches.
LOADERS = {
    "assay-volumes, cold": ("assay_volumes", lambda paths: assay(paths, pool=None)),
    "medrs FastLoader, cold": ("medrs", medrs_cold),
    "MONAI Dataset, cold": ("monai", lambda paths: monai(paths, False)),
    "nibabel and NumPy, cold": ("nibabel", nibabel_cold),
    "assay-volumes, pool": ("assay_volumes", lambda paths: assay(paths, pool=len(paths), visits=64)),
    "assay-volumes, pool, 2 workers": ("assay_volumes", lambda paths: assay(paths, pool=len(paths), visits=64, workers=2)),
    "assay-volumes, cached": ("assay_volumes", lambda paths: assay(paths, pool=len(paths), visits=1 << 40)),
    "MONAI CacheDataset, cached": ("monai", lambda paths: monai(paths, True)),
    "nibabel and NumPy, cached": ("nibabel", nibabel_cached),
}


def is_cut_from(crop, volumes):
    """Whether a crop is a part of one of the volumes: looked for where its first row is."""
    row = crop[:, 0, 0]
    for volume in volumes:
        windows = np.lib.stride_tricks.sliding_window_view(volume[:, : -SIZE[1] + 1, : -SIZE[2] + 1], SIZE[0], axis=0)
        for y, z in np.argwhere((windows[0:, :, :, 0] == row[0]).any(axis=0)):
            for x in np.flatnonzero((windows[:, y, z] == row).all(axis=1)):
                if np.array_equal(volume[x : x + SIZE[0], y : y + SIZE[1], z : z + SIZE[2]], crop):
                    return True
    return False


def measure(name, paths, seconds):
    """One loader in this process: first batch in seconds, samples per second after it."""
    start = time.perf_counter()
    batches = LOADERS[name][1](paths)
    first = next(batches)
    first_s = time.perf_counter() - start
    shape = first.shape
    # A crop with few equal neighbors, so that it is found quickly.
    crop = max((np.array(each[0]) for batch in (first, next(batches)) for each in batch), key=lambda crop: crop[:, 0, 0].std())
    volumes = [canonical(path) for path in paths] + [nibabel.load(path).get_fdata(dtype=np.float32) for path in paths]
    is_right = is_cut_from(crop, volumes)
    # What was filled ahead is taken, and what is cached is decoded, before the clock starts.
    for _ in range(4 * len(paths)):
        next(batches)
    samples, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        samples += len(next(batches))
    return {"first_s": first_s, "rate": samples / elapsed, "is_right": bool(is_right), "shape": list(shape)}


def call_cost(paths):
    """What a batch costs where it is ready: the call alone, in seconds."""
    import assay_volumes as av

    batches = iter(av.Loader(paths, av.CenterCrop((4, 4, 4)), pool=len(paths), visits=1 << 40, ahead=2000, samples=2000))
    while batches.ready < 2000:
        time.sleep(0.01)
    times = []
    for _ in range(2000):
        start = time.perf_counter()
        next(batches).pixels
        times.append(time.perf_counter() - start)
    return {"call_s": statistics.median(times)}


def child(*arguments):
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        return {"error": done.stderr.strip().splitlines()[-1:]}
    return json.loads(done.stdout.splitlines()[-1])


def phantoms(program, directory, count):
    paths = []
    for i in range(count):
        path = str(Path(directory) / f"{i}.nii.gz")
        subprocess.run([program, "nifti", "phantom", "brain", path, "--seed", str(i)], check=True, capture_output=True)
        paths.append(path)
    return paths


def table(program, rounds, seconds, count):
    with tempfile.TemporaryDirectory() as directory:
        listed = json.dumps(phantoms(program, directory, count))
        rows = {name: [] for name, (package, _) in LOADERS.items() if importlib.util.find_spec(package)}
        for _ in range(rounds):
            for name, found in rows.items():
                found.append(child("--one", name, "--paths", listed, "--seconds", str(seconds)))
        print("| loader | samples/s | first batch, ms |\n|---|--:|--:|")
        for name, found in rows.items():
            wrong = [each.get("error") or each for each in found if not each.get("is_right")]
            if wrong:
                print(f"| {name} | - | not ranked: {wrong[0]} |")
                continue
            rates, firsts = sorted(each["rate"] for each in found), sorted(1e3 * each["first_s"] for each in found)
            spread = f"{statistics.median(rates):.0f} ({rates[0]:.0f} to {rates[-1]:.0f})"
            print(f"| {name} | {spread} | {statistics.median(firsts):.0f} ({firsts[0]:.0f} to {firsts[-1]:.0f}) |")
        for name, (package, _) in LOADERS.items():
            if name not in rows:
                print(f"left out: {name}: {package} is not installed")
        print(f"the call of a batch that is ready: {1e6 * child('--call', '--paths', listed)['call_s']:.1f} us")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--volumes", type=int, default=12)
    parser.add_argument("--one")
    parser.add_argument("--call", action="store_true")
    parser.add_argument("--paths", type=json.loads)
    arguments = parser.parse_args()
    if arguments.call:
        print(json.dumps(call_cost(arguments.paths)))
    elif arguments.one:
        print(json.dumps(measure(arguments.one, arguments.paths, arguments.seconds)))
    else:
        table(arguments.program, arguments.rounds, arguments.seconds, arguments.volumes)


if __name__ == "__main__":
    main()
