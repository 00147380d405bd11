"""Files: what is read equals what nibabel and NumPy make of the same file; what is wrong is an exception that fits."""

import gzip
import os
import pickle
import struct
import threading
import unittest
from pathlib import Path

import assay_volumes as av
import nibabel
import numpy as np
import volumes

# One multiplication and addition, fused by ours, rounded twice by NumPy in float32.
CLOSE = {"rtol": 1e-6, "atol": 1e-4}


class Reading(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(volumes.directory())

    def file(self, name="v.nii.gz", dtype="int16", **options):
        return volumes.write(self.directory / name, volumes.stored(dtype), **options)

    def test_voxels_affine_and_header_are_those_of_nibabel(self):
        for name in ("a.nii", "b.nii.gz"):
            for dtype in ("uint8", "int16", "uint16", "int32", "float32", "float64"):
                for slope, inter in ((None, None), (0.5, -24.0)):
                    with self.subTest(name=name, dtype=dtype, slope=slope):
                        path = self.file(name, dtype, slope=slope, inter=inter)
                        image, theirs = av.load(path), nibabel.load(path)
                        np.testing.assert_allclose(image.data, theirs.get_fdata(), **CLOSE)
                        np.testing.assert_array_equal(image.affine, theirs.affine)
                        self.assertEqual(image.shape, theirs.shape)
                        self.assertEqual((image.data.dtype, image.data.flags.f_contiguous), (np.float32, True))
                        self.assertTrue(image.data.flags.writeable and image.data.flags.aligned)
                        header = image.header
                        self.assertEqual(list(header["dim"]), theirs.header["dim"].tolist())
                        self.assertEqual(header["datatype"], int(theirs.header["datatype"]))
                        np.testing.assert_allclose(header["srow_x"], theirs.header["srow_x"])
                        self.assertEqual(image.source.orientation, "".join(nibabel.aff2axcodes(theirs.affine)))

    def test_statistics_are_those_of_numpy(self):
        for dtype in ("int16", "float32"):
            path = self.file(dtype=dtype, slope=0.5, inter=-24.0)
            data = volumes.scaled(path)
            low, high = np.percentile(data, [0.5, 99.5])
            clipped = data.clip(low, high)
            expected = {
                "n": data.size, "n_nan": 0, "min": data.min(), "max": data.max(), "mean": data.mean(), "std": data.std(),
                "p0_5": low, "median": np.median(data), "p99_5": high, "robust_mean": clipped.mean(), "robust_std": clipped.std(),
            }
            for stats in (av.load(path).stats, av.Volume(path).stats()):
                for figure, value in expected.items():
                    self.assertAlmostEqual(getattr(stats, figure), value, delta=1e-10 * (1 + abs(value)), msg=figure)
        self.assertIsNone(av.load(path, stats=False).stats)

    def test_every_output_type_is_exact_or_refused(self):
        path = self.file()
        expected = volumes.stored()
        for dtype in ("float16", "float64", "int16", "int32", "int64", "uint16", "uint32", "uint64", np.float32, np.dtype("f8"), float):
            image = av.load(path, dtype)
            self.assertEqual(image.dtype, np.dtype(dtype))
            np.testing.assert_array_equal(image.data, expected.astype(dtype))
        with self.assertRaises(av.ConversionError):
            av.load(path, "uint8")
        for dtype in ("complex64", "U3", bool):
            with self.assertRaises(TypeError):
                av.load(path, dtype)
        with self.assertRaises(ValueError):
            av.load(path, ">f4")

    def test_stored_values_have_their_own_type_in_native_order(self):
        color = np.zeros((4, 3, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
        color["R"], color["B"] = 7, np.arange(24).reshape(4, 3, 2)
        for data in (volumes.stored("float64"), volumes.stored(">i2"), volumes.stored().astype("complex64") * 1j, color):
            path = volumes.write(self.directory / "s.nii", data)
            image = av.load(path, "stored")
            self.assertTrue(image.dtype.isnative and image.data.flags.f_contiguous)
            self.assertEqual(image.dtype, data.dtype.newbyteorder("="))
            np.testing.assert_array_equal(image.data, data)
            np.testing.assert_array_equal(av.Volume(path).region((1, 3), (0, 2), dtype="stored").data, data[1:3, 0:2])
        with self.assertRaises(av.ConversionError):
            av.load(path)

    def test_orientation_is_that_of_nibabel(self):
        path = self.file()
        canonical = nibabel.as_closest_canonical(nibabel.load(path))
        image = av.load(path, orient="RAS")
        np.testing.assert_array_equal(image.data, canonical.get_fdata())
        np.testing.assert_allclose(image.affine, canonical.affine, atol=1e-12)
        turned = av.load(path, orient="PSR")
        self.assertEqual("".join(nibabel.aff2axcodes(turned.affine)), "PSR")
        with self.assertRaises(ValueError):
            av.load(path, orient="RAR")

    def test_clip_and_zscore_are_those_of_numpy(self):
        path = self.file()
        data = volumes.scaled(path)
        np.testing.assert_array_equal(av.load(path, clip=(100, 300)).data, data.clip(100, 300))
        clipped = data.clip(*np.percentile(data, [5, 95]))
        np.testing.assert_allclose(av.load(path, clip_percentiles=(5, 95)).data, clipped, rtol=1e-6)
        normal = (clipped - clipped.mean()) / clipped.std()
        np.testing.assert_allclose(av.load(path, clip_percentiles=(5, 95), zscore="all").data, normal, atol=1e-5)
        for wrong in ({"clip": (0, 1), "clip_percentiles": (0, 1)}, {"zscore": "some"}, {"clip_percentiles": (9, 101)}, {"threads": 0}):
            with self.assertRaises(ValueError):
                av.load(path, **wrong)

    def test_out_is_filled_in_place(self):
        path = self.file()
        out = np.full((21, 17, 13), np.nan, dtype=np.float32, order="F")
        image = av.load(path, out=out)
        self.assertIs(image.data, out)
        np.testing.assert_array_equal(out, volumes.scaled(path))
        frozen = out.copy(order="F")
        frozen.flags.writeable = False
        wrong = (np.empty((21, 17, 13), np.float32), np.empty((21, 17, 13), order="F"), np.empty((13, 17, 21), np.float32, order="F"),
                 np.empty((2, 2, 2), np.float32, order="F"), frozen, [1.0])
        for each in wrong:
            with self.assertRaises(ValueError):
                av.load(path, out=each)

    def test_memory_comes_back_when_no_array_shows_it(self):
        av.free_scratch()
        paths = [volumes.write(self.directory / f"{i}.nii", volumes.stored(shape=(80, 80, 60), seed=i)) for i in range(3)]
        expected = [volumes.scaled(path) for path in paths]
        kept = [av.load(path, stats=False).data[1:, :, ::2] for path in paths]
        for view, data in zip(kept, expected):
            np.testing.assert_array_equal(view, data[1:, :, ::2])
        self.assertEqual(len({view.ctypes.data for view in kept}), 3)
        address = av.load(paths[0]).data.ctypes.data
        self.assertEqual(av.load(paths[1]).data.ctypes.data, address)
        image = av.load(paths[2], "float64")
        np.testing.assert_array_equal(image.data, expected[2])
        np.testing.assert_array_equal(av.load(paths[0], "float16").data, expected[0].astype(np.float16))
        av.free_scratch()

    def test_threads_change_nothing(self):
        path = self.file("big.nii.gz")
        np.testing.assert_array_equal(av.load(path, threads=2).data, av.load(path).data)
        volume = av.Volume(path).indexed()
        np.testing.assert_array_equal(volume.load(threads=3).data, av.load(path).data)
        av.free_scratch()
        results = []
        threads = [threading.Thread(target=lambda: results.append(av.load(path, threads=2).data.sum())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(set(results)), 1)
        self.assertEqual(len(results), 4)

    def test_an_image_is_an_array(self):
        image = av.load(self.file())
        self.assertTrue(np.shares_memory(np.asarray(image), image.data))
        self.assertTrue(np.shares_memory(np.from_dlpack(image), image.data))
        self.assertEqual(np.asarray(image, dtype="f8").dtype, np.float64)
        again = pickle.loads(pickle.dumps(image))
        np.testing.assert_array_equal(again.data, image.data)
        self.assertEqual((again.stats, again.losses), (image.stats, image.losses))
        self.assertEqual(again.source.shape, image.shape)
        np.testing.assert_allclose(image.spacing, nibabel.affines.voxel_sizes(image.affine))
        self.assertIn("Image(shape=(21, 17, 13)", repr(image))
        data = image.data
        del image
        self.assertGreater(float(data.sum()), 0.0)

    def test_large_whole_numbers_that_float32_lacks_are_counted(self):
        path = volumes.write(self.directory / "labels.nii", np.full((2, 2, 2), (1 << 24) + 1, dtype=np.int32))
        self.assertEqual(av.load(path).losses, av.Losses(8, 0, 0))
        self.assertEqual(av.load(path, "int32").losses, av.Losses(0, 0, 0))


class Regions(unittest.TestCase):
    def setUp(self):
        directory = self.enterContext(volumes.directory())
        self.directory = directory
        data = volumes.stored(shape=(12, 11, 10, 3))
        self.paths = [volumes.write(directory / name, data, slope=2.0, inter=1.0) for name in ("a.nii", "b.nii.gz")]
        self.data = volumes.scaled(self.paths[0]).astype(np.float32)

    def test_indices_mean_what_they_mean_in_numpy(self):
        keys = [3, -1, slice(2, 5), slice(None), ..., (2, 3), (slice(1, 4), 5), (slice(None, None, -1),), (slice(10, 2, -3), ..., 1),
                (..., 2), (1, ..., slice(0, 9, 4), 0), (slice(1, 9, 2), slice(-3, None), slice(None), slice(0, 2)), (0, 0, 0, 0),
                slice(5, 5), (slice(3, 1), 2), np.int64(4), (slice(0, 100),)]
        for path in self.paths:
            for volume in (av.Volume(path), av.Volume(path, map=True), av.Volume(path).indexed(), av.Volume(path).unpacked(self.directory / "cache")):
                for key in keys:
                    with self.subTest(key=key, volume=volume):
                        found, expected = volume[key], self.data[key]
                        np.testing.assert_array_equal(found, expected)
                        self.assertEqual((found.shape, found.dtype), (expected.shape, np.float32))

    def test_wrong_indices_are_refused(self):
        volume = av.Volume(self.paths[0])
        for key in (12, -13, (0, 11), (0, 0, 0, 0, 0), (..., ...), (slice(0, 2), ..., 0, ..., 1)):
            with self.assertRaises(IndexError):
                volume[key]
        for key in ("x", 1.5, [1, 2], None, self.data > 0):
            with self.assertRaises(TypeError):
                volume[key]
        with self.assertRaises(ValueError):
            volume[::0]

    def test_a_region_has_its_affine_and_statistics(self):
        for path in self.paths:
            image = av.Volume(path).region((2, 8), (1, 5), (3, 9), (1, 2), orient="RAS", dtype="float64", stats=True)
            part = nibabel.load(path).slicer[2:8, 1:5, 3:9, 1:2]
            canonical = nibabel.as_closest_canonical(part)
            np.testing.assert_array_equal(image.data, canonical.get_fdata())
            np.testing.assert_allclose(image.affine, canonical.affine, atol=1e-12)
            self.assertEqual(image.stats.max, part.get_fdata().max())
            for wrong in (((0, 13),), ((5, 5),), ((0, 1),) * 5):
                for dtype in ("float32", "stored"):
                    with self.assertRaises(av.RegionError):
                        av.Volume(path).region(*wrong, dtype=dtype)

    def test_an_index_is_kept_in_a_file_and_made_anew_for_another(self):
        kept = self.directory / "b.gzx"
        path = self.paths[1]
        av.Volume(path).indexed(kept)
        first = kept.read_bytes()
        np.testing.assert_array_equal(av.Volume(path).indexed(save=kept)[..., 1], self.data[..., 1])
        self.assertEqual(kept.read_bytes(), first)
        other = volumes.write(self.directory / "other.nii.gz", volumes.stored(seed=5))
        av.Volume(other).indexed(kept)
        self.assertNotEqual(kept.read_bytes(), first)
        kept.write_bytes(b"no index")
        np.testing.assert_array_equal(av.Volume(path).indexed(kept)[..., 1], self.data[..., 1])

    def test_a_volume_describes_itself_without_reading_voxels(self):
        volume = av.Volume(Path(self.paths[1]))
        theirs = nibabel.load(self.paths[1])
        self.assertEqual((volume.shape, volume.ndim, len(volume), volume.dtype), (theirs.shape, 4, 12, np.int16))
        self.assertEqual((volume.scale, volume.packing, volume.warnings), ((2.0, 1.0), "gzip", []))
        np.testing.assert_allclose(volume.spacing, nibabel.affines.voxel_sizes(theirs.affine))
        self.assertEqual(volume.path, self.paths[1])
        self.assertIn("shape=(12, 11, 10, 3), dtype=int16, LPS, gzip", repr(volume))
        self.assertEqual(pickle.loads(pickle.dumps(volume)).path, volume.path)
        np.testing.assert_array_equal(np.asarray(volume), self.data)
        self.assertEqual(np.asarray(volume, dtype="f8").dtype, np.float64)
        volume.check()


class Faults(unittest.TestCase):
    def setUp(self):
        self.directory = self.enterContext(volumes.directory())
        self.good = volumes.write(self.directory / "good.nii", volumes.stored())
        self.packed = volumes.write(self.directory / "good.nii.gz", volumes.stored())

    def changed(self, name, content):
        path = self.directory / name
        path.write_bytes(content)
        return str(path)

    def test_missing_files_are_the_exceptions_of_open(self):
        path = str(self.directory / "none.nii")
        with self.assertRaises(FileNotFoundError) as caught:
            av.load(path)
        self.assertIsInstance(caught.exception, av.MissingFileError)
        self.assertIsInstance(caught.exception, av.VolumeError)
        self.assertEqual((caught.exception.errno, caught.exception.filename, caught.exception.path), (2, path, path))
        with self.assertRaises(OSError):
            av.load(self.directory)
        if os.geteuid() != 0:
            os.chmod(self.good, 0)
            with self.assertRaises(PermissionError):
                av.load(self.good)
        for wrong in (None, 3, b"\xff\0"):
            with self.assertRaises((TypeError, ValueError)):
                av.load(wrong)

    def test_damaged_files_are_value_errors_that_name_the_file(self):
        plain, packed = Path(self.good).read_bytes(), Path(self.packed).read_bytes()
        bomb = bytearray(plain[:400])
        struct.pack_into("<8h", bomb, 40, 3, 32000, 32000, 32000, 1, 1, 1, 1)
        inexact = bytearray(plain)
        struct.pack_into("<ff", inexact, 112, 1.0, float("inf"))
        cases = {
            "text.nii": (b"no volume " * 100, av.FormatError),
            "empty.nii": (b"", av.FormatError),
            "short.nii": (plain[:-100], av.TruncatedError),
            "short.nii.gz": (packed[:-100], av.FormatError),
            "crc.nii.gz": (packed[:-8] + b"\0\0\0\0" + packed[-4:], av.GzipError),
            "bomb.nii.gz": (gzip.compress(bytes(bomb)), av.TooLargeError),
            "inter.nii": (bytes(inexact), av.FormatError),
        }
        for name, (content, kind) in cases.items():
            with self.subTest(name=name):
                path = self.changed(name, content)
                with self.assertRaises(kind) as caught:
                    av.load(path)
                self.assertIsInstance(caught.exception, ValueError)
                self.assertIn(path, str(caught.exception))
                self.assertEqual(caught.exception.path, path)
        self.assertEqual(av.load(str(self.directory / "crc.nii.gz"), verify=False).shape, (21, 17, 13))

    def test_a_panic_is_an_exception(self):
        from assay_volumes import _native

        with self.assertRaises(av.InternalError) as caught:
            _native.panic_for_tests("it happened")
        self.assertIn("it happened", str(caught.exception))
        self.assertIsInstance(caught.exception, RuntimeError)
        self.assertEqual(av.load(self.good).shape, (21, 17, 13))

    def test_decoding_works_in_a_forked_process(self):
        av.load(self.packed, threads=2)
        child = os.fork()
        if child == 0:
            try:
                fine = av.load(self.packed, threads=2).shape == (21, 17, 13)
                os._exit(0 if fine else 1)
            finally:
                os._exit(2)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)


if __name__ == "__main__":
    unittest.main()
