"""Compares with MONAI's transforms: our preparation of volumes, `assay nifti prepare`, and the crops and changes of our loader, through
its Python package.

    python loader_agree_monai.py PATH/TO/assay
"""

import itertools
import sys
import tempfile
from pathlib import Path

import assay_volumes as av
import monai
import monai.transforms as mt
import nibabel
import numpy as np
import torch
from counts import Counts
from ours import Ours
from prepared_volumes import SPACINGS, prepared, tell, volumes

SAMPLES = 40
# The second one is larger than some volumes along each axis.
CROPS = [(6, 6, 6), (9, 12, 18)]


def read(path):
    """A file as MONAI's transforms before ours see it.

    Its axes are made orthogonal to f64's precision. In a header they are so to f32's, and that is shear enough for `Spacing` to put the
    center of the new grid, instead of its first voxel, where the volume's is.
    """
    image = mt.LoadImage(image_only=True, ensure_channel_first=True, dtype=np.float32)(str(path))
    image = mt.Orientation(axcodes="RAS", labels=None)(image)
    axes = image.affine[:3, :3].numpy()
    spacing = np.linalg.norm(axes, axis=0)
    left, _, right = np.linalg.svd(axes / spacing)
    image.affine[:3, :3] = torch.from_numpy(left @ right * spacing)
    return image


def array(image):
    """The voxels of an image of one channel."""
    return np.asarray(image[0], dtype=np.float64)


def both(volume):
    return {"image": read(volume.image), "labels": read(volume.labels)}


def turned_files(random, volume):
    """Stores the volume in another order and direction of axes."""
    axes = nibabel.io_orientation(np.eye(4)[random.permutation(3).tolist() + [3]])
    axes[:, 1] = random.choice([-1, 1], 3)
    for path in (volume.image, volume.labels):
        image = nibabel.load(path)
        turned = nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine).as_reoriented(axes)
        path.unlink()
        nibabel.save(turned, path)


def spacings(counts, ours, volume, name):
    for spacing in SPACINGS:
        mine, marks, affine = prepared(ours, volume, "--spacing", ",".join(map(str, spacing)))
        resample = lambda mode: mt.Spacing(spacing, mode=mode, padding_mode="border", dtype=np.float64)
        theirs = resample("bilinear")(read(volume.image))
        tell(counts, "Spacing, bilinear", f"{name} to {spacing}", array(theirs), mine)
        counts.tell("Spacing: affine", f"{name} to {spacing}", np.allclose(theirs.affine, affine, atol=1e-4), f"{affine.tolist()}")
        marked = array(resample("nearest")(read(volume.labels)))
        counts.tell("Spacing, nearest labels", f"{name} to {spacing}", np.array_equal(marked, marks))


def intensities(counts, ours, volume, name):
    image = read(volume.image)
    for low, high in ((0.5, 99.5), (2, 90)):
        clipped = mt.ClipIntensityPercentiles(low, high)(image)
        options = ("--clip-percentiles", f"{low},{high}")
        tell(counts, "ClipIntensityPercentiles", f"{name} {low} {high}", array(clipped), prepared(ours, volume, *options)[0])
        for nonzero in (False, True):
            theirs = mt.NormalizeIntensity(nonzero=nonzero)(clipped)
            mine = prepared(ours, volume, *options, "--zscore", "nonzero" if nonzero else "all")[0]
            tell(counts, "NormalizeIntensity", f"{name} {low} {high} nonzero={nonzero}", array(theirs), mine)
    for bounds in ((-57, 164, 0, 1), (100, 400, -1, 1)):
        theirs = mt.ScaleIntensityRange(*bounds, clip=True)(image)
        mine = prepared(ours, volume, "--range", ",".join(map(str, bounds)))[0]
        tell(counts, "ScaleIntensityRange", f"{name} {bounds}", array(theirs), mine)


def boxes(counts, ours, volume, name):
    for above, margin, size in itertools.product((0, 250), (0, 2), ((0, 0, 0), (37, 12, 40))):
        keys = ["image", "labels"]
        crop = mt.CropForegroundd(keys, "image", select_fn=lambda v: v > above, margin=margin, allow_smaller=True)
        theirs = mt.SpatialPadd(keys, size, method="symmetric")(crop(both(volume)))
        # A step that changes nothing: without one, there may be nothing to do, which our program refuses.
        options = ("--clip", "-40000,40000", "--foreground", above, "--margin", margin, "--pad", ",".join(map(str, size)))
        mine, marks, affine = prepared(ours, volume, *options)
        tell(counts, "CropForeground, SpatialPad", f"{name} {options}", array(theirs["image"]), mine)
        is_same = np.array_equal(array(theirs["labels"]), marks)
        counts.tell("CropForeground, SpatialPad: labels", f"{name} {options}", is_same)
        is_same = np.allclose(theirs["image"].affine, affine, atol=1e-4)
        counts.tell("CropForeground, SpatialPad: affine", f"{name} {options}", is_same, f"{affine.tolist()}")


def in_order(counts, ours, volume, name):
    """All steps in the order of training."""
    keys, spacing = ["image", "labels"], SPACINGS[0]
    # Resampled in f64 and in f32, a value may be 0 in one only: the foreground is above a small number.
    steps = mt.Compose([
        mt.Spacingd(keys, spacing, mode=("bilinear", "nearest"), padding_mode="border", dtype=np.float64),
        mt.ClipIntensityPercentilesd("image", 0.5, 99.5), mt.NormalizeIntensityd("image"),
        mt.CropForegroundd(keys, "image", select_fn=lambda v: v > 0.1, margin=1, allow_smaller=True),
        mt.SpatialPadd(keys, (48, 48, 48)),
    ])
    theirs = steps(both(volume))
    options = ("--spacing", ",".join(map(str, spacing)), "--clip-percentiles", "0.5,99.5", "--zscore", "all")
    mine, marks, _ = prepared(ours, volume, *options, "--foreground", "0.1", "--margin", "1", "--pad", "48,48,48")
    tell(counts, "all steps", name, array(theirs["image"]), mine)
    counts.tell("all steps: labels", name, np.array_equal(array(theirs["labels"]), marks))


def drawn(volume, sampler, **settings):
    """Samples of our loader, and what it says of them."""
    settings = {"batch": SAMPLES, "samples": SAMPLES, "pool": 1, "visits": SAMPLES, "workers": 0, "on_failure": "stop"} | settings
    batch = next(iter(av.Loader([volume.image], sampler, labels=[volume.labels], **settings)))
    return np.array(batch.pixels), {key: np.array(value) for key, value in batch.labels.items()}


def cut(image, start, size):
    """MONAI's crop at a place of ours, which counts from the volume before it is padded."""
    before = [max(n - have, 0) // 2 for n, have in zip(size, image.shape[1:])]
    first = [at + pad for at, pad in zip(start, before)]
    crop = mt.SpatialCrop(roi_start=first, roi_end=[at + n for at, n in zip(first, size)])
    return np.asarray(crop(mt.SpatialPad(size)(image)))


def crops(counts, ours, volume, name):
    theirs = both(volume)
    for size in CROPS:
        pixels, _ = drawn(volume, av.CenterCrop(size), samples=1, batch=1)
        expected = np.asarray(mt.CenterSpatialCrop(size)(mt.SpatialPad(size)(theirs["image"])))
        counts.tell("CenterSpatialCrop", f"{name} {size}", np.array_equal(pixels[0], expected))
        pixels, labels = drawn(volume, av.RandomCrop(size), samples=2000, batch=2000)
        same = [np.array_equal(pixel, cut(theirs["image"], start, size)) for pixel, start in zip(pixels[:SAMPLES], labels["start"])]
        counts.tell("RandSpatialCrop: voxels", f"{name} {size}", all(same))
        # Along each axis, the places that both draw.
        transform, image = mt.RandSpatialCrop(size, random_size=False), mt.SpatialPad(size)(theirs["image"])
        room = [n - side + 1 for n, side in zip(image.shape[1:], size)]
        slices = [(transform.randomize(image.shape[1:]), transform._slices)[1] for _ in range(2000)]
        before = [max(n - have, 0) // 2 for n, have in zip(size, theirs["image"].shape[1:])]
        for axis in range(3):
            wanted = {each[axis].start - before[axis] for each in slices}
            is_same = len(wanted) == room[axis] and set(labels["start"][:, axis].tolist()) == wanted
            counts.tell("RandSpatialCrop: places", f"{name} {size} axis {axis}", is_same)


def labeled_crops(counts, ours, volume, name):
    theirs, size, samples = both(volume), (6, 6, 6), 3000
    image, labels = theirs["image"], theirs["labels"]
    pixels, about = drawn(volume, av.PosNegCrop(size, 3.0, 1.0), samples=samples, batch=samples)
    for at in range(SAMPLES):
        expected = np.concatenate([cut(image, about["start"][at], size), cut(labels, about["start"][at], size)])
        counts.tell("RandCropByPosNegLabel: voxels", f"{name} {at}", np.array_equal(pixels[at], expected))
    shape = np.array(image.shape[1:])
    transform = mt.RandCropByPosNegLabel(size, labels, pos=3, neg=1, num_samples=samples)
    transform.set_random_state(7)
    transform.randomize(label=labels)
    chosen = {tuple(int(c) - n // 2 for c, n in zip(center, size)) for center in transform.centers}
    indices = mt.utils.map_binary_to_indices(labels)
    for is_positive, class_indices in zip((True, False), indices):
        centers = [mt.utils.correct_crop_centers(c, size, shape) for c in np.stack(np.unravel_index(class_indices, shape), -1).tolist()]
        possible = {tuple(int(c) - n // 2 for c, n in zip(center, size)) for center in centers}
        mine = {tuple(start) for start in about["start"][about["is_positive"] == is_positive].tolist()}
        counts.tell("RandCropByPosNegLabel: places of a class", f"{name} {is_positive}", bool(mine) and mine <= possible)
        chosen -= possible
    counts.tell("RandCropByPosNegLabel: MONAI's own places are those", name, not chosen)
    # Five standard deviations of a share of 0.75.
    share = about["is_positive"].mean()
    counts.tell("RandCropByPosNegLabel: share of positives", name, abs(share - 0.75) < 5 * (0.1875 / samples) ** 0.5, f"{share}")


def turns(counts, ours, volume, name):
    size = (6, 6, 6)
    plain, _ = drawn(volume, av.RandomCrop(size))
    for flips in itertools.product((0, 1), repeat=3):
        mine, _ = drawn(volume, av.RandomCrop(size), augment=av.Augment(flips=flips))
        axes = [axis for axis in range(3) if flips[axis]]
        same = [np.array_equal(mt.Flip(axes)(torch.tensor(crop)).numpy(), got) for crop, got in zip(plain, mine)]
        counts.tell("Flip", f"{name} {flips}", all(same))
    for axes in itertools.permutations(range(3), 2):
        mine, _ = drawn(volume, av.RandomCrop(size), augment=av.Augment(rotations=(1.0, axes)))
        equal = [
            {k for k in (1, 2, 3) if np.array_equal(mt.Rotate90(k, axes)(torch.tensor(crop)).numpy(), got)}
            for crop, got in zip(plain, mine)
        ]
        # Crops of one value alone are equal to all their rotations.
        is_same = all(equal) and set.union(*equal) == {1, 2, 3}
        counts.tell("Rotate90", f"{name} {axes}", is_same, f"{equal}")


def contrast(counts, ours, volume, name):
    size = (6, 6, 6)
    plain, _ = drawn(volume, av.RandomCrop(size))
    mine, about = drawn(volume, av.RandomCrop(size), augment=av.Augment(gamma=(1.0, (0.5, 3.0))))
    for at, gamma in enumerate(about["gamma"]):
        theirs = mt.AdjustContrast(float(gamma))(torch.tensor(plain[at])).numpy()
        tell(counts, "AdjustContrast", f"{name} {gamma}", theirs, mine[at])


def noise(counts, ours, volume, name):
    """The noise alone, pooled over samples, against MONAI's: mean and deviation."""
    size, wide = (6, 6, 6), 40.0
    plain, _ = drawn(volume, av.RandomCrop(size), samples=400, batch=400)
    mine, about = drawn(volume, av.RandomCrop(size), samples=400, batch=400, augment=av.Augment(noise=(1.0, 5.0, wide)))
    transform = mt.RandGaussianNoise(prob=1.0, mean=5.0, std=wide)
    transform.set_random_state(11)
    theirs = np.stack([transform(torch.zeros(1, *size)).numpy() for _ in range(400)])
    for what, of in (("mean", np.mean), ("deviation", np.std)):
        ours_is, theirs_is = of(mine - plain), of(theirs)
        # The deviation of a sample is uniform up to `wide`: that of 400 samples together varies by 3 % of `wide`.
        counts.tell("RandGaussianNoise", f"{name} {what}", abs(ours_is - theirs_is) < 0.15 * wide, f"{theirs_is}, ours {ours_is}")
    is_uniform = about["noise"][:, 1].max() <= wide and abs(about["noise"][:, 1].mean() - wide / 2) < 0.1 * wide
    counts.tell("RandGaussianNoise", f"{name} deviations of samples", bool(is_uniform))


def main():
    counts = Counts()
    random = np.random.default_rng(20261128)
    with tempfile.TemporaryDirectory() as directory:
        ours = Ours(sys.argv[1], directory)
        for name, volume in volumes(random, Path(directory)):
            turned_files(random, volume)
            for compare in (spacings, intensities, boxes, in_order, crops, labeled_crops, turns, contrast, noise):
                compare(counts, ours, volume, name)
    print(counts.line(f"MONAI {monai.__version__}, torch {torch.__version__}, NumPy {np.__version__}"))


if __name__ == "__main__":
    main()
