"""Whether nibabel and SimpleITK read what our writer writes, and our reader reads what they write, voxel for voxel.

    python nifti_agree.py PATH/TO/assay

Makes its files in a temporary directory. Ends with 1 and the names of the files on which readers differ.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]


class Checks:
    """Counts what agrees, and keeps the names of what does not."""

    def __init__(self, assay, directory):
        self.assay = assay
        self.directory = Path(directory)
        self.agreed = 0
        self.differed = []

    def tell(self, name, is_same):
        if is_same:
            self.agreed += 1
        else:
            self.differed.append(name)

    def run(self, *arguments):
        done = subprocess.run([self.assay, "nifti", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments}: {done.stderr}")
        return done.stdout

    def ours(self, path, *options):
        """The array that our reader makes of a file."""
        out = self.directory / "ours.npy"
        self.run("convert", path, out, *options)
        return np.load(out)


def same_bits(a, b):
    return a.shape == b.shape and a.astype(a.dtype.newbyteorder("=")).tobytes("F") == b.astype(b.dtype.newbyteorder("=")).tobytes("F")


def within_one_ulp(a, b):
    a, b = a.astype(np.float32), b.astype(np.float32)
    return a.shape == b.shape and np.all((np.abs(a - b) <= np.spacing(np.abs(b))) | (np.isnan(a) & np.isnan(b)) | (a == b))


def our_files(checks):
    """nibabel and our reader on every file of our writer, against the voxels that were written."""
    corpus = checks.directory / "corpus"
    figures = json.loads(checks.run("corpus", corpus))
    paths = sorted(path for path in corpus.iterdir() if path.suffix not in (".npy", ".img") and not path.name.endswith(".img.gz"))
    assert len(paths) == figures["files"], (len(paths), figures)
    for path in paths:
        kind = path.name.split("-")[0]
        if not (corpus / f"{kind}.npy").exists():
            # Extended precision: nibabel refuses what this machine does not store that way.
            checks.run("check", path)
            continue
        image = nibabel.load(path)
        info = json.loads(checks.run("info", "--json", path))[0]
        checks.tell(f"affine {path.name}", np.array_equal(image.affine, np.array(info["affine"])))
        codes = "".join(nibabel.aff2axcodes(image.affine))
        checks.tell(f"orientation {path.name}", codes == info["orientation"])
        written = np.load(corpus / f"{kind}.npy")
        stored = np.asanyarray(image.dataobj.get_unscaled()) if kind in TYPES else np.asanyarray(image.dataobj)
        checks.tell(f"nibabel stored {path.name}", same_bits(np.asarray(stored), written))
        checks.tell(f"ours stored {path.name}", same_bits(checks.ours(path), written))
        if kind in TYPES:
            scaled = image.get_fdata()
            checks.tell(f"ours scaled {path.name}", within_one_ulp(checks.ours(path, "--scaled"), scaled))
            turned = nibabel.as_closest_canonical(image).get_fdata()
            checks.tell(f"ours RAS {path.name}", within_one_ulp(checks.ours(path, "--scaled", "--orient", "RAS"), turned))
        if kind in TYPES and "-540-" not in path.name and "members" not in path.name:
            read = sitk.GetArrayFromImage(sitk.ReadImage(str(path), sitk.sitkFloat64)).transpose(2, 1, 0)
            checks.tell(f"SimpleITK {path.name}", within_one_ulp(read, scaled))


def affine_of(random):
    """A rotation by a quaternion, distances, perhaps a mirror, an offset."""
    quaternion = random.normal(size=4)
    rotation = nibabel.quaternions.quat2mat(quaternion / np.linalg.norm(quaternion))
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(random.uniform(0.3, 4, 3) * random.choice([-1, 1], 3))
    affine[:3, 3] = random.uniform(-200, 200, 3)
    return affine


def nibabel_files(checks, random):
    """Our reader on what nibabel writes: types, orders, versions, pairs, scaling, transforms."""
    classes = [nibabel.Nifti1Image, nibabel.Nifti2Image, nibabel.Nifti1Pair, nibabel.Nifti2Pair]
    for serial, kind in enumerate(TYPES + COMPLEX):
        for order in "<>":
            for image_class in classes:
                for suffix in ("", ".gz"):
                    data = (random.normal(size=(11, 7, 5, 2)) * 100).astype(kind)
                    header = image_class.header_class(endianness=order)
                    header.set_data_dtype(kind)
                    image = image_class(data, affine_of(random), header)
                    if serial % 2:
                        image.set_sform(None, 0)
                        image.set_qform(image.affine, 1)
                    pair = image_class in classes[2:]
                    path = checks.directory / (f"nibabel.{'img' if pair else 'nii'}{suffix}")
                    nibabel.save(image, path)
                    name = f"from nibabel: {kind} {order} {image_class.__name__}{suffix}"
                    again = nibabel.load(path)
                    stored = np.asanyarray(again.dataobj.get_unscaled())
                    checks.tell(f"stored {name}", same_bits(checks.ours(path), np.asarray(stored)))
                    info = json.loads(checks.run("info", "--json", path))[0]
                    checks.tell(f"affine {name}", np.allclose(again.affine, info["affine"], rtol=1e-12, atol=1e-9))
                    codes = "".join(nibabel.aff2axcodes(again.affine))
                    checks.tell(f"orientation {name}", codes == info["orientation"])
                    if kind in TYPES:
                        scaled = checks.ours(path, "--scaled")
                        checks.tell(f"scaled {name}", within_one_ulp(scaled, again.get_fdata()))
                    for left in checks.directory.glob("nibabel.*"):
                        left.unlink()


def simpleitk_files(checks, random):
    """Our reader on what SimpleITK writes."""
    for kind in TYPES:
        for suffix in (".nii", ".nii.gz", ".img", ".img.gz", ".hdr"):
            data = (random.normal(size=(5, 7, 11)) * 100).astype(kind)
            image = sitk.GetImageFromArray(data)
            image.SetSpacing((0.5, 2.0, 3.25))
            image.SetOrigin((-10.0, 20.0, 5.0))
            path = checks.directory / f"sitk{suffix}"
            sitk.WriteImage(image, str(path))
            name = f"from SimpleITK: {kind}{suffix}"
            checks.tell(f"stored {name}", same_bits(checks.ours(path), data.transpose(2, 1, 0)))
            info = json.loads(checks.run("info", "--json", path))[0]
            checks.tell(f"affine {name}", np.allclose(nibabel.load(path).affine, info["affine"], atol=1e-6))
            for left in checks.directory.glob("sitk*"):
                left.unlink()


def statistics(checks):
    """Ours and NumPy's, of phantoms."""
    for kind in ("tiny", "zscored", "labels"):
        path = checks.directory / f"{kind}.nii.gz"
        checks.run("phantom", kind, path, "--shape", "40,30,20")
        ours = json.loads(checks.run("stats", "--json", path))[0]["stats"]
        data = nibabel.load(path).get_fdata()
        low, high = np.percentile(data, [0.5, 99.5])
        expected = {
            "min": data.min(), "max": data.max(), "mean": data.mean(), "std": data.std(), "p0_5": low,
            "median": np.median(data), "p99_5": high, "robust_std": np.clip(data, low, high).std(),
        }
        scale = abs(expected["mean"]) + expected["std"]
        for figure, value in expected.items():
            checks.tell(f"{figure} of {kind}: {ours[figure]} {value}", abs(ours[figure] - value) <= 1e-12 * scale)


def main():
    with tempfile.TemporaryDirectory() as directory:
        checks = Checks(sys.argv[1], directory)
        random = np.random.default_rng(20261122)
        our_files(checks)
        nibabel_files(checks, random)
        simpleitk_files(checks, random)
        statistics(checks)
    print(f"nibabel {nibabel.__version__}, SimpleITK {sitk.Version.VersionString()}: {checks.agreed} checks agree")
    for name in checks.differed:
        print(f"DIFFERS: {name}")
    return 1 if checks.differed else 0


if __name__ == "__main__":
    sys.exit(main())
