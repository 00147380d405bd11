"""Volume files written by other programs, for our reader."""

import gzip
import itertools
import struct
import zlib

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.nifti1 import Nifti1Extension

INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
REALS = INTEGERS + ["float32", "float64"]
COMPLEX = ["complex64", "complex128"]
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
RGBA = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
NIFTI = [nibabel.Nifti1Image, nibabel.Nifti2Image, nibabel.Nifti1Pair, nibabel.Nifti2Pair]
ANALYZE = [nibabel.AnalyzeImage, nibabel.Spm99AnalyzeImage, nibabel.Spm2AnalyzeImage]


def voxels(random, shape, kind):
    """Random bit patterns of integers and colors; floats of many magnitudes, with NaN and infinity."""
    kind = np.dtype(kind)
    if kind.kind in "iuV":
        return np.frombuffer(random.bytes(int(np.prod(shape)) * kind.itemsize), kind).reshape(shape, order="F").copy()
    data = random.normal(size=shape) * 10.0 ** random.integers(-6, 7, size=shape)
    if kind.kind == "c":
        data = data + 1j * random.normal(size=shape)
    data = data.astype(kind)
    odd = [np.nan, np.inf, -np.inf, -0.0]
    data.ravel()[: min(4, data.size - 1)] = odd[: min(4, data.size - 1)]
    return data


def turned(random):
    """An affine: a rotation by a quaternion, voxel sizes, perhaps a reflection, an offset."""
    quaternion = random.normal(size=4)
    rotation = nibabel.quaternions.quat2mat(quaternion / np.linalg.norm(quaternion))
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(random.uniform(0.3, 4, 3) * random.choice([-1, 1], 3))
    affine[:3, 3] = random.uniform(-200, 200, 3)
    return affine


def all_orientations():
    """The 48 affines that permute and flip the axes, each with its own voxel sizes."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product([1, -1], repeat=3):
            affine = np.eye(4)
            affine[:3, :3] = 0
            for axis, sign, mm in zip(range(3), signs, (0.5, 1.25, 3.0)):
                affine[order[axis], axis] = sign * mm
            affine[:3, 3] = (-10.5, 20.25, 3.0)
            yield affine


def save(path, data, image_class, order, affine, codes=(2, 1), extensions=()):
    """Writes a volume with nibabel; `codes` are those of sform and qform."""
    header = image_class.header_class(endianness=order)
    header.set_data_dtype(data.dtype)
    image = image_class(data, affine, header)
    if image_class in NIFTI:
        image.set_sform(image.affine if codes[0] else None, codes[0])
        image.set_qform(image.affine if codes[1] else None, codes[1])
        image.header.extensions.extend(extensions)
    nibabel.save(image, path)


def by_nibabel(random, directory):
    """Every type, byte order, version and packing."""
    codes = itertools.cycle([(2, 1), (1, 0), (0, 1), (0, 0), (4, 3)])
    for kind in REALS + COMPLEX + [RGB, RGBA]:
        label = {RGB: "RGB24", RGBA: "RGBA32"}.get(kind, kind)
        for order, image_class, suffix in itertools.product("<>", NIFTI, ("", ".gz")):
            extension = ".img" if image_class in NIFTI[2:] else ".nii"
            path = directory / f"v{extension}{suffix}"
            data = voxels(random, (11, 7, 5), kind)
            save(path, data, image_class, order, turned(random), next(codes))
            yield f"{label} {order} {image_class.__name__}{suffix}", path


def of_extents(random, directory):
    """Extents from one voxel to seven dimensions."""
    shapes = [(1,), (1, 1, 1), (9,), (6, 5), (1, 8), (6, 5, 4), (7, 1, 1), (1, 1, 9), (6, 5, 1, 4), (6, 5, 4, 3)]
    shapes += [(5, 4, 3, 2, 2), (5, 4, 1, 1, 3), (3, 4, 2, 1, 2, 2), (3, 2, 2, 1, 2, 1, 2)]
    for shape, kind, order, image_class in itertools.product(shapes, ["int16", "float64"], "<>", NIFTI[:2]):
        path = directory / "v.nii"
        save(path, voxels(random, shape, kind), image_class, order, turned(random))
        yield f"{shape} {kind} {order} {image_class.__name__}", path


def of_orientations(random, directory):
    """Every order and direction of axes, by sform and by qform; oblique ones; and neither form."""
    affines = [(f"turn {at}", affine) for at, affine in enumerate(all_orientations())]
    affines += [(f"oblique {at}", turned(random)) for at in range(40)]
    for (name, affine), codes in itertools.product(affines, [(2, 0), (0, 1), (3, 2)]):
        path = directory / "v.nii"
        save(path, voxels(random, (5, 4, 3), "int16"), nibabel.Nifti1Image, "<", affine, codes)
        yield f"{name} sform {codes[0]} qform {codes[1]}", path
    for image_class, order in itertools.product(NIFTI[:2], "<>"):
        path = directory / "v.nii"
        save(path, voxels(random, (5, 4, 3), "int16"), image_class, order, turned(random), (0, 0))
        yield f"no form {image_class.__name__} {order}", path


def raw(path, data, image_class, order, **fields):
    """A single file with exactly these header fields, which nibabel's writer might change."""
    header = image_class.header_class(endianness=order)
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header["vox_offset"] = header.single_vox_offset
    for name, value in fields.items():
        header[name] = value
    stored = data.astype(data.dtype.newbyteorder(order))
    path.write_bytes(header.binaryblock + bytes(4) + stored.tobytes("F"))


def of_scalings(random, directory):
    """Real-valued slopes and intercepts, and values that mean no scaling."""
    pairs = [(0, 0), (0, 5), (np.nan, 0), (np.nan, np.nan), (1, 0), (1, -1024), (2, 0), (-1, 0), (0.1, 0), (np.inf, 0)]
    pairs += [(1e-30, 1e-30), (1e30, 1), (1, np.inf), (1, np.nan), (np.inf, np.inf), (-0.0, 1)]
    for _ in range(24):
        pairs.append((random.normal() * 10.0 ** random.integers(-5, 6), random.normal() * 10.0 ** random.integers(-5, 6)))
    for (slope, inter), kind in itertools.product(pairs, REALS):
        order, image_class = "<>"[random.integers(2)], NIFTI[random.integers(2)]
        path = directory / "v.nii"
        raw(path, voxels(random, (9, 7, 5), kind), image_class, order, scl_slope=slope, scl_inter=inter)
        yield f"{slope:g} {inter:g} {kind} {order} {image_class.__name__}", path


def of_analyze(random, directory):
    """ANALYZE 7.5 as SPM and others write it."""
    for image_class, kind, order in itertools.product(ANALYZE, REALS + COMPLEX, "<>"):
        header = image_class.header_class()
        try:
            header.set_data_dtype(kind)
        except nibabel.spatialimages.HeaderDataError:
            continue
        header["pixdim"][1:4] = (2.0, 3.0, 4.0)
        for origin in (None, (3, 2, 4), (1, 6, 5)):
            is_spm = image_class is not nibabel.AnalyzeImage
            if origin and not is_spm:
                continue
            # The affine is the header's: nibabel would write another one to a .mat file, which is not part of the format.
            image = image_class(voxels(random, (7, 6, 5), kind), None, header.as_byteswapped(order))
            if origin:
                image.header["origin"][:3] = origin
            nibabel.save(image, directory / "v.img")
            yield f"{image_class.__name__} {kind} {order} origin {origin}", directory / "v.img"


def of_extensions(random, directory):
    """One extension, several, an empty one, a long one."""
    lists = [[(6, b"a comment")], [(4, b"<xml/>"), (6, b""), (0, bytes(range(256)))], [(44, random.bytes(100_000))]]
    for (at, contents), order, image_class, suffix in itertools.product(
        enumerate(lists), "<>", NIFTI[:2], (".nii", ".nii.gz")
    ):
        path = directory / f"v{suffix}"
        extensions = [Nifti1Extension(code, content) for code, content in contents]
        save(path, voxels(random, (5, 4, 3), "int16"), image_class, order, turned(random), extensions=extensions)
        yield f"list {at} {order} {image_class.__name__}{suffix}", path


def bgzf(content, size):
    """Members whose extra field holds their packed size, and an empty one at the end, as samtools writes them."""
    blocks = []
    for start in [*range(0, len(content), size), len(content)]:
        block = content[start : start + size]
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = packer.compress(block) + packer.flush()
        head = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(packed) + 25)
        blocks.append(head + packed + struct.pack("<II", zlib.crc32(block), len(block)))
    return b"".join(blocks)


def flushed(content, size):
    """One member with a flush after each part, as multithreaded compressors write it."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    parts = [packer.compress(content[at : at + size]) + packer.flush(zlib.Z_SYNC_FLUSH) for at in range(0, len(content), size)]
    return b"".join(parts) + packer.flush()


def of_packings(random, directory):
    """gzip files of Python's zlib, divided into members and blocks in every way."""
    packings = {f"level {level}": lambda content, level=level: gzip.compress(content, level) for level in range(10)}
    packings["members"] = lambda content: b"".join(gzip.compress(content[at : at + 700]) for at in range(0, len(content), 700))
    packings["empty members"] = lambda content: gzip.compress(b"") + gzip.compress(content) + gzip.compress(b"")
    packings["bgzf"] = lambda content: bgzf(content, 2000)
    packings["bgzf of one byte"] = lambda content: bgzf(content, 1)
    packings["flushed"] = lambda content: flushed(content, 1000)
    packings["zeros after it"] = lambda content: gzip.compress(content) + bytes(512)
    for (name, pack), kind in itertools.product(packings.items(), ["uint8", "int16", "float32"]):
        plain, path = directory / "plain.nii", directory / "v.nii.gz"
        save(plain, voxels(random, (11, 7, 5), kind), nibabel.Nifti1Image, "<", turned(random))
        path.write_bytes(pack(plain.read_bytes()))
        plain.unlink()
        yield f"{name} {kind}", path


def by_simpleitk(random, directory):
    """Types, packings, dimensions, directions, colors, vectors."""
    suffixes = (".nii", ".nii.gz", ".img", ".img.gz", ".hdr")
    kinds = [*itertools.product(REALS, [(5, 7, 11), (7, 11), (3, 5, 7, 11)], [False]), ("complex64", (5, 7, 11), False)]
    kinds += [("uint8", (5, 7, 11, 3), True), ("uint8", (5, 7, 11, 4), True), ("float32", (5, 7, 11, 3), True)]
    for (kind, shape, is_vector), suffix in itertools.product(kinds, suffixes):
        image = sitk.GetImageFromArray(voxels(random, shape, kind), isVector=is_vector)
        n = image.GetDimension()
        image.SetSpacing(random.uniform(0.3, 4, n))
        image.SetOrigin(random.uniform(-100, 100, n))
        if n == 3:
            matrix = turned(random)[:3, :3]
            image.SetDirection((matrix / np.linalg.norm(matrix, axis=0)).ravel())
        path = directory / f"v{suffix}"
        sitk.WriteImage(image, str(path))
        yield f"{kind} {'x'.join(map(str, shape))}{' vectors' if is_vector else ''}{suffix}", path
