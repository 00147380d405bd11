"""medrs through its Python package: from a path to scaled float32, first axis fastest."""

import sys
from importlib.metadata import version

import medrs
import numpy as np
import peer
from nibabel_peer import middle, path_of


def header(path):
    image = medrs.load(path)
    return np.concatenate([image.shape, np.ravel(image.affine)]).astype("<f4")


def patch(path):
    """Its reader of crops, which keeps the last ten compressed files unpacked in a cache of its own."""
    shape = medrs.load(path).shape
    places = middle(shape)
    start, size = [place.start for place in places], [place.stop - place.start for place in places]
    return lambda: medrs.load_cropped(path, start, size).data


def work_of(path, make):
    if make == "f32":
        return lambda: medrs.load(path).data
    if make in ("ras", "psr"):
        return lambda: medrs.load(path).reorient(make.upper()).data
    if make == "patch":
        return patch(path)
    if make == "header":
        return lambda: header(path)
    raise NotImplementedError(f"there is no call for {make}")


class Implementation:
    def describe(self):
        settings = f"Python {sys.version.split()[0]}, numpy {version('numpy')}"
        return {"name": "medrs", "version": version("medrs"), "settings": settings}

    def load(self, case, params, inputs):
        work = work_of(path_of(params, inputs), params["make"])
        kept = [work()]

        def run():
            kept[0] = work()

        return {"ran": "medrs, from Python", "run": run, "output": lambda: np.asarray(kept[0], dtype="<f4").tobytes(order="F")}


if __name__ == "__main__":
    peer.serve(Implementation())
