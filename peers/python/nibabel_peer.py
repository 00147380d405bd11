"""nibabel as a peer, and NumPy alone: from a path to scaled float32, first axis fastest."""

import sys
from importlib.metadata import version

import nibabel
import numpy as np
import peer

PATCH = 64


def path_of(params, inputs):
    return f"{inputs}/" + ("v.nii" if params["pack"] == "plain" else "v.nii.gz")


def raw(array):
    """Bytes of an array, first axis fastest."""
    return np.asarray(array, dtype="<f4").tobytes(order="F")


def statistics(data):
    """What a pipeline computes before it normalizes: percentiles, clip, median, deviation."""
    low, high = np.percentile(data, [0.5, 99.5])
    median = np.median(data)
    robust = np.clip(data, low, high).std()
    return np.array([data.min(), data.max(), data.mean(), data.std(), low, median, high, robust], dtype="<f4")


def middle(shape):
    return tuple(slice((n - PATCH) // 2, (n + PATCH) // 2) for n in shape)


def reoriented(image, codes):
    """The image with its axes in the order of `codes`, as nibabel's documentation does it."""
    stored = nibabel.orientations.io_orientation(image.affine)
    wanted = nibabel.orientations.axcodes2ornt(codes)
    return image.as_reoriented(nibabel.orientations.ornt_transform(stored, wanted))


def extents_and_affine(image):
    return np.concatenate([image.shape[:3], image.affine.ravel()]).astype("<f4")


def nibabel_work(path, make):
    if make == "header":
        return lambda: extents_and_affine(nibabel.load(path))
    if make == "slice":
        return lambda: nibabel.load(path).dataobj[..., 0].astype(np.float32)
    if make == "f32":
        return lambda: nibabel.load(path).get_fdata(dtype=np.float32)
    if make == "ras":
        return lambda: nibabel.as_closest_canonical(nibabel.load(path)).get_fdata(dtype=np.float32)
    if make == "psr":
        return lambda: reoriented(nibabel.load(path), "PSR").get_fdata(dtype=np.float32)
    if make == "stats":
        return lambda: statistics(nibabel.load(path).get_fdata())
    if make == "patch":
        return lambda: (lambda image: image.dataobj[middle(image.shape)].astype(np.float32))(nibabel.load(path))
    return None


def numpy_work(path, make, params):
    """The mapped voxels after a 352-byte header, converted into memory that is kept."""
    if params["pack"] != "plain" or make != "f32" or params["scale"] != 0:
        return None
    stored = "<i2" if params["endian"] == "little" else ">i2"
    shape = (params["x"], params["y"], params["z"])
    out = np.empty(shape, dtype=np.float32, order="F")

    def work():
        voxels = np.memmap(path, dtype=stored, mode="r", offset=352, shape=shape, order="F")
        out[...] = voxels
        return out

    return work


class Implementation:
    def __init__(self, name, threads):
        self.name = name
        self.threads = threads

    def describe(self):
        package = "nibabel" if self.name == "nibabel" else "numpy"
        settings = f"Python {sys.version.split()[0]}, numpy {version('numpy')}"
        return {"name": self.name, "version": version(package), "settings": settings}

    def load(self, case, params, inputs):
        path, make = path_of(params, inputs), params["make"]
        work = nibabel_work(path, make) if self.name == "nibabel" else numpy_work(path, make, params)
        if work is None:
            raise NotImplementedError(f"{self.name} has no such case")
        kept = [work()]

        def run():
            kept[0] = work()

        return {"ran": f"{self.name}, one thread", "run": run, "output": lambda: raw(kept[0])}


if __name__ == "__main__":
    peer.serve(Implementation(sys.argv[1], peer.threads_argument()))
