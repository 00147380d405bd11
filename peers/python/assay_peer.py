"""Our own reader through its Python package: from a path to scaled float32, first axis fastest.

    python assay_peer.py kept|new

`kept` fills one array again and again, as our side in Rust does, so that the difference to it is the cost of the call. `new` takes a
new array for every volume, as the other packages do.
"""

import sys
from importlib.metadata import version

import assay_volumes as av
import numpy as np
import peer

PATCH = 64


def path_of(params, inputs):
    return f"{inputs}/" + ("v.nii" if params["pack"] == "plain" else "v.nii.gz")


def figures(stats):
    """Statistics in the order of the case."""
    wanted = (stats.min, stats.max, stats.mean, stats.std, stats.p0_5, stats.median, stats.p99_5, stats.robust_std)
    return np.array(wanted, dtype="<f4")


def middle(shape):
    return tuple(slice((n - PATCH) // 2, (n + PATCH) // 2) for n in shape)


def extents_and_affine(volume):
    return np.concatenate([volume.shape[:3], volume.affine.ravel()]).astype("<f4")


def whole(path, orient, threads, is_kept):
    """The call that reads a whole volume."""
    if not is_kept:
        return lambda: av.load(path, orient=orient, stats=False, threads=threads).data
    out = av.load(path, orient=orient, stats=False).data
    return lambda: av.load(path, orient=orient, stats=False, out=out, threads=threads).data


def patch(path, by, inputs):
    """The call that reads a patch, on the way that the case names."""
    is_plain = path.endswith(".nii")
    if by == "index":
        kept = av.Volume(path).indexed()
        return lambda: kept[middle(kept.shape)]
    if by == "sidecar":
        copy = av.Volume(path).unpacked(inputs).path
        return lambda: (lambda volume: volume[middle(volume.shape)])(av.Volume(copy, map=True))
    if by == "sidecar-kept":
        mapped = av.Volume(av.Volume(path).unpacked(inputs).path, map=True)
        return lambda: mapped[middle(mapped.shape)]
    return lambda: (lambda volume: volume[middle(volume.shape)])(av.Volume(path, map=is_plain))


def work_of(path, params, inputs, threads, is_kept):
    make = params["make"]
    if make == "f32":
        return whole(path, None, threads, is_kept)
    if make in ("ras", "psr"):
        return whole(path, make.upper(), threads, is_kept)
    if make == "patch":
        return patch(path, params.get("by"), inputs)
    simple = {
        "stats": lambda: figures(av.Volume(path).stats()),
        "header": lambda: extents_and_affine(av.Volume(path)),
        "slice": lambda: av.Volume(path)[..., 0],
    }
    if make not in simple:
        raise NotImplementedError(f"there is no call for {make}")
    return simple[make]


class Implementation:
    def __init__(self, is_kept, threads):
        self.is_kept = is_kept
        self.threads = threads

    def describe(self):
        output = "output kept" if self.is_kept else "new output"
        settings = f"Python {sys.version.split()[0]}, numpy {version('numpy')}, {self.threads} threads, {output}"
        return {"name": "assay-volumes", "version": av.__version__, "settings": settings}

    def load(self, case, params, inputs):
        work = work_of(path_of(params, inputs), params, inputs, self.threads, self.is_kept)
        kept = [work()]

        def run():
            kept[0] = work()

        return {"ran": "assay_volumes", "run": run, "output": lambda: np.asarray(kept[0], dtype="<f4").tobytes(order="F")}


if __name__ == "__main__":
    peer.serve(Implementation(sys.argv[1] == "kept", peer.threads_argument()))
