"""SimpleITK as a peer: from a path to scaled float32, first axis fastest."""

import numpy as np
import peer
import SimpleITK as sitk
from nibabel_peer import PATCH, path_of, statistics


def oriented(path, codes):
    """The image with its axes in the order of `codes`. DICOM's letters name where an axis starts, in LPS coordinates."""
    return sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(path, sitk.sitkFloat32), codes))


def work_of(path, make):
    if make == "f32":
        return lambda: sitk.GetArrayFromImage(sitk.ReadImage(path, sitk.sitkFloat32))
    if make in ("ras", "psr"):
        return lambda: oriented(path, make.upper())
    if make == "stats":
        return lambda: statistics(sitk.GetArrayFromImage(sitk.ReadImage(path, sitk.sitkFloat64)))
    if make == "header":
        return lambda: extents_and_affine(information(path))
    if make == "slice":
        return lambda: extracted(path, lambda size: ([0] * len(size), [*size[:-1], 1]))
    if make == "patch":
        return lambda: extracted(path, lambda size: ([(n - PATCH) // 2 for n in size], [PATCH] * len(size)))
    raise NotImplementedError(f"there is no call for {make}")


def information(path):
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    reader.SetOutputPixelType(sitk.sitkFloat32)
    reader.ReadImageInformation()
    return reader


def extracted(path, part):
    """Part of a file: `part` gives its first index and extents from the extents of the whole."""
    reader = information(path)
    index, size = part(reader.GetSize())
    reader.SetExtractIndex(index)
    reader.SetExtractSize(size)
    return sitk.GetArrayFromImage(reader.Execute())


def extents_and_affine(reader):
    """Extents, and the affine in RAS coordinates: x and y are negated."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * reader.GetSpacing()
    affine[:3, 3] = reader.GetOrigin()
    return np.concatenate([reader.GetSize(), (np.diag([-1, -1, 1, 1]) @ affine).ravel()])


class Implementation:
    def __init__(self, threads):
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
        self.threads = threads

    def describe(self):
        return {"name": "simpleitk", "version": sitk.Version.VersionString(), "settings": f"{self.threads} threads"}

    def load(self, case, params, inputs):
        work = work_of(path_of(params, inputs), params["make"])
        kept = [work()]

        def run():
            kept[0] = work()

        # Arrays of SimpleITK have z first: their bytes in C order have x fastest.
        return {"ran": "ReadImage", "run": run, "output": lambda: kept[0].astype("<f4").tobytes()}


if __name__ == "__main__":
    peer.serve(Implementation(peer.threads_argument()))
