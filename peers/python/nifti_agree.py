"""Compares, voxel for voxel: nibabel and SimpleITK read what our writer writes, our reader reads what they write.

    python nifti_agree.py PATH/TO/assay

Makes its files in a temporary directory. Ends with the line of counts that `cargo xtask agree nifti-decode` reads.
"""

import json
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk
import volumes
from counts import Counts
from ours import Ours, Refused, native, same_bits, unlike, within_one_ulp

# Functions that write files, and their topics.
MAKERS = {
    "files of nibabel": volumes.by_nibabel,
    "extents": volumes.of_extents,
    "forms and orientations": volumes.of_orientations,
    "slopes and intercepts": volumes.of_scalings,
    "ANALYZE 7.5": volumes.of_analyze,
    "extensions": volumes.of_extensions,
    "packings of Python's zlib": volumes.of_packings,
    "files of SimpleITK": volumes.by_simpleitk,
}


def stored_by_nibabel(image):
    """The voxels as stored in the file."""
    data = image.dataobj
    return np.asanyarray(data.get_unscaled() if hasattr(data, "get_unscaled") else data)


def is_real(kind):
    return kind.kind in "iuf"


def read_by_both(counts, ours, topic, name, path):
    """Reads a file of another program with nibabel and with ours, and compares."""
    try:
        image = nibabel.load(path)
    except Exception as error:  # Any exception of nibabel means that it refuses the file.
        refused_by_nibabel(counts, ours, f"{topic}: refused by both", name, path, error)
        return
    try:
        info, mine = ours.info(path), ours.array(path)
    except Refused as error:
        counts.tell(f"{topic}: stored voxels", name, False, f"ours refuses: {error}".replace(str(path), path.name))
        return
    theirs = stored_by_nibabel(image)
    counts.tell(f"{topic}: stored voxels", name, same_bits(theirs, mine), unlike(theirs, mine))
    is_same = np.allclose(image.affine, info["affine"], rtol=1e-12, atol=1e-9)
    counts.tell(f"{topic}: affine", name, is_same, f"{image.affine.tolist()}, ours {info['affine']}")
    codes = "".join(code or "-" for code in nibabel.aff2axcodes(image.affine))
    counts.tell(f"{topic}: orientation", name, codes == info["orientation"], f"{codes}, ours {info['orientation']}")
    if topic == "extensions":
        codes = [extension.get_code() for extension in image.header.extensions]
        mine = [extension["ecode"] for extension in info["extensions"]]
        counts.tell(f"{topic}: codes", name, codes == mine, f"{codes}, ours {mine}")
    if is_real(theirs.dtype):
        scaled_by_both(counts, ours, topic, name, path, image)
    if topic == "files of SimpleITK" and " vectors" not in name:
        theirs = sitk.GetArrayFromImage(sitk.ReadImage(str(path))).T
        counts.tell(f"{topic}: voxels as it reads them", name, same_bits(theirs, mine), unlike(theirs, mine))


def refused_by_nibabel(counts, ours, topic, name, path, error):
    """A file that nibabel refuses; ours must refuse it, too."""
    try:
        ours.array(path, "--scaled")
    except Refused:
        counts.tell(topic, name, True)
        return
    counts.tell(topic, name, False, f"nibabel refuses: {error}")


def scaled_by_both(counts, ours, topic, name, path, image):
    """Compares scaled values, as stored and reoriented to RAS."""
    try:
        theirs = image.get_fdata()
    except Exception as error:
        refused_by_nibabel(counts, ours, f"{topic}: refused by both", name, path, error)
        return
    try:
        mine = ours.array(path, "--scaled")
    except Refused as error:
        counts.tell(f"{topic}: scaled voxels", name, False, f"ours refuses: {error}".replace(str(path), path.name))
        return
    counts.tell(f"{topic}: scaled voxels", name, within_one_ulp(theirs, mine), unlike(theirs.astype("f4"), mine))
    if theirs.ndim >= 3 and topic != "slopes and intercepts":
        turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(theirs, image.affine)).get_fdata()
        mine = ours.array(path, "--scaled", "--orient", "RAS")
        counts.tell(f"{topic}: turned to RAS", name, within_one_ulp(turned, mine), unlike(turned.astype("f4"), mine))


def written_again(counts, ours, topic, name, path):
    """A file of another program, rewritten by our writer and read by nibabel, must keep everything."""
    if topic not in ("files of nibabel", "extents", "forms and orientations", "extensions"):
        return
    before = nibabel.load(path)
    for options in ([], ["--nifti2"]):
        copy = ours.directory / "copy.nii.gz"
        try:
            ours.run("convert", path, copy, *options)
        except Refused as error:
            counts.tell(f"{topic}: written again by ours", name, False, f"ours refuses: {error}")
            continue
        after = nibabel.load(copy)
        has = [
            same_bits(native(stored_by_nibabel(before)), native(stored_by_nibabel(after))),
            np.allclose(before.affine, after.affine, rtol=1e-6, atol=1e-4),
            [e.get_content() for e in before.header.extensions] == [e.get_content() for e in after.header.extensions],
        ]
        counts.tell(f"{topic}: written again by ours", name, all(has), f"voxels, affine, extensions: {has}")


def our_files(counts, ours):
    """Compares what nibabel, SimpleITK and our reader find in every file of our writer with the voxels that were written."""
    corpus = ours.directory / "corpus"
    figures = json.loads(ours.run("corpus", corpus))
    is_image = lambda path: path.suffix == ".img" or path.name.endswith(".img.gz")
    paths = sorted(path for path in corpus.iterdir() if path.suffix != ".npy" and not is_image(path))
    assert len(paths) == figures["files"], (len(paths), figures)
    for path in paths:
        kind = path.name.split("-")[0]
        if not (corpus / f"{kind}.npy").exists():
            ours.run("check", path)
            counts.leave_out("our files: voxels read by nibabel", f"{kind} has no layout that machines share")
            continue
        written = np.load(corpus / f"{kind}.npy")
        image, info = nibabel.load(path), ours.info(path)
        is_same = np.array_equal(image.affine, np.array(info["affine"]))
        counts.tell("our files: affine", path.name, is_same, f"{image.affine.tolist()}, ours {info['affine']}")
        codes = "".join(nibabel.aff2axcodes(image.affine))
        counts.tell("our files: orientation", path.name, codes == info["orientation"], codes)
        theirs = stored_by_nibabel(image)
        counts.tell("our files: voxels read by nibabel", path.name, same_bits(theirs, written), unlike(theirs, written))
        mine = ours.array(path)
        counts.tell("our files: voxels read by ours", path.name, same_bits(mine, written), unlike(mine, written))
        if is_real(written.dtype):
            scaled_by_both(counts, ours, "our files", path.name, path, image)
            by_simpleitk(counts, path, image.get_fdata())


def by_simpleitk(counts, path, scaled):
    """A file of ours as SimpleITK reads it."""
    topic = "our files: scaled voxels read by SimpleITK"
    try:
        read = sitk.GetArrayFromImage(sitk.ReadImage(str(path), sitk.sitkFloat64)).transpose(2, 1, 0)
    except RuntimeError as error:
        words = str(error).replace(str(path), path.name).strip().splitlines()[-1]
        counts.tell(topic, path.name, False, f"SimpleITK refuses: {words}")
        return
    counts.tell(topic, path.name, within_one_ulp(read, scaled), unlike(read, scaled))


def statistics(counts, ours):
    """Compares our statistics of phantoms with NumPy's."""
    for kind in ("tiny", "zscored", "labels"):
        path = ours.directory / f"{kind}.nii.gz"
        ours.run("phantom", kind, path, "--shape", "40,30,20")
        mine = json.loads(ours.run("stats", "--json", path))[0]["stats"]
        data = nibabel.load(path).get_fdata()
        low, high = np.percentile(data, [0.5, 99.5])
        expected = {
            "min": data.min(), "max": data.max(), "mean": data.mean(), "std": data.std(), "p0_5": low,
            "median": np.median(data), "p99_5": high, "robust_std": np.clip(data, low, high).std(),
        }
        scale = abs(expected["mean"]) + expected["std"]
        for figure, value in expected.items():
            is_same = abs(mine[figure] - value) <= 1e-12 * scale
            counts.tell("statistics, NumPy's to 1e-12", f"{figure} of {kind}", is_same, f"{value}, ours {mine[figure]}")


def main():
    warnings.simplefilter("ignore")
    # nibabel's warnings about repaired headers are suppressed: the result is compared.
    logging.getLogger("nibabel").setLevel(logging.CRITICAL)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    counts = Counts()
    random = np.random.default_rng(20261122)
    with tempfile.TemporaryDirectory() as directory:
        ours = Ours(sys.argv[1], directory)
        our_files(counts, ours)
        files = Path(directory) / "files"
        files.mkdir()
        for topic, make in MAKERS.items():
            for name, path in make(random, files):
                read_by_both(counts, ours, topic, name, path)
                written_again(counts, ours, topic, name, path)
                for left in files.iterdir():
                    left.unlink()
        statistics(counts, ours)
    numpy, itk = np.__version__, sitk.Version.VersionString()
    print(counts.line(f"nibabel {nibabel.__version__}, SimpleITK {itk}, NumPy {numpy}"))


if __name__ == "__main__":
    main()
