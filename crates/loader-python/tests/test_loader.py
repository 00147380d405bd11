"""The loader from Python: its stream, whose memory a batch is, and what forks, signals and damaged files do to it."""

import dataclasses
import gc
import multiprocessing
import os
import pickle
import signal
import threading
import time
import unittest
from pathlib import Path

import assay_volumes as av
import nibabel
import numpy as np
import volumes


class WithFiles(unittest.TestCase):
    """Files that all tests of a class read."""

    @classmethod
    def setUpClass(cls):
        cls.directory = cls.enterClassContext(volumes.directory())
        cls.files = volumes.brains(cls.directory, 5)
        cls.labels = []
        for i in range(5):
            marks = np.zeros((40, 36, 30), dtype=np.uint8)
            marks[10 + i : 14 + i, 12:20, 8:20] = 2
            cls.labels.append(volumes.write(cls.directory / f"{i}-labels.nii.gz", marks))

    def loader(self, sampler=av.RandomCrop((8, 6, 5)), **settings):
        return av.Loader(self.files, sampler, **({"pool": 2, "visits": 3, "samples": 20, "seed": 7} | settings))

    def canonical(self, paths, file):
        return nibabel.as_closest_canonical(nibabel.load(paths[file])).get_fdata()


class Streams(WithFiles):
    def stream(self, loader):
        """Pixels, labels and files of all samples."""
        samples = []
        for batch in loader:
            self.assertEqual((batch.first, len(batch)), (len(samples), batch.pixels.shape[0]))
            for i in range(len(batch)):
                labels = {name: array[i].tobytes() for name, array in batch.labels.items()}
                samples.append((batch.pixels[i].tobytes(), labels, int(batch.files[i])))
        return samples

    def test_workers_and_batches_change_no_bit(self):
        for sampler in (av.RandomCrop((8, 6, 5)), av.AsymmetricPatches(3)):
            expected = self.stream(self.loader(sampler, workers=0))
            self.assertEqual(len(expected), 20)
            for settings in ({"workers": 2, "batch": 3}, {"workers": 1, "batch": 16, "decoders": 2, "ahead": 1}):
                self.assertEqual(self.stream(self.loader(sampler, **settings)), expected)
            self.assertNotEqual(self.stream(self.loader(sampler, seed=8)), expected)
        self.assertEqual(self.stream(self.loader(pool=None)), self.stream(self.loader(pool=None, workers=3)))

    def test_crops_are_cut_out_of_the_volume_that_nibabel_reads(self):
        for batch in self.loader(batch=4):
            for crop, start, file in zip(batch.pixels, batch.labels["start"], batch.files):
                x, y, z = start
                expected = self.canonical(self.files, file)[x : x + 8, y : y + 6, z : z + 5]
                np.testing.assert_array_equal(crop[0], expected)

    def test_labels_are_cropped_with_their_image(self):
        positive = []
        for batch in self.loader(av.PosNegCrop((7, 7, 7), positive=3.0), labels=self.labels, samples=40, batch=8):
            self.assertEqual(batch.shape, (8, 2, 7, 7, 7))
            for crop, start, file in zip(batch.pixels, batch.labels["start"], batch.files):
                x, y, z = start
                part = np.s_[x : x + 7, y : y + 7, z : z + 7]
                np.testing.assert_array_equal(crop[0], self.canonical(self.files, file)[part])
                np.testing.assert_array_equal(crop[1], self.canonical(self.labels, file)[part])
            positive += batch.labels["is_positive"].tolist()
        self.assertTrue(20 <= sum(positive) <= 38, positive)

    def test_volumes_are_prepared_before_they_are_cut(self):
        """Clip by percentiles, z-score over what is not 0, foreground, pad: each as NumPy has it."""
        prepare = [av.ClipPercentiles(1, 99), av.ZScore("nonzero"), av.Pad((44, 36, 30)), av.Clip(-1.5, 2.0)]
        for batch in self.loader(av.CenterCrop((44, 36, 30)), prepare=prepare, samples=5):
            data = self.canonical(self.files, batch.files[0])
            data = data.clip(*np.percentile(data, [1, 99]))
            normal = np.where(data == 0, 0, (data - data[data != 0].mean()) / data[data != 0].std())
            expected = np.pad(normal, ((2, 2), (0, 0), (0, 0))).clip(-1.5, 2.0)
            np.testing.assert_allclose(batch.pixels[0, 0], expected, atol=1e-5)
        scaled = [av.ScaleRange((0, 400), (-1, 1), clip=True), av.CropForeground(above=-1.0, margin=2)]
        for batch in self.loader(prepare=scaled, samples=3):
            self.assertTrue((np.abs(batch.pixels) <= 1).all())
        fine = next(iter(self.loader(av.CenterCrop((20, 20, 20)), prepare=[av.Spacing((1.0, 1.0, 1.0))], samples=1)))
        self.assertEqual(fine.shape, (1, 1, 20, 20, 20))

    def test_crops_are_turned_as_their_labels_say(self):
        plain = self.loader(av.CenterCrop((8, 8, 6)), samples=30)
        changes = av.Augment(flips=(0.5, 0.5, 0.5), rotations=(0.7, (0, 1)), gamma=(0.0, (1.0, 2.0)))
        turned = 0
        for before, after in zip(plain, dataclasses.replace(plain, augment=changes), strict=True):
            crop, order = before.pixels[0, 0], after.labels["order"][0]
            flipped = np.flip(crop, [axis for axis in range(3) if after.labels["is_flipped"][0, axis]])
            np.testing.assert_array_equal(after.pixels[0, 0], np.moveaxis(flipped, [0, 1, 2], order))
            self.assertEqual((after.labels["gamma"][0], after.labels["noise"].tolist()), (1.0, [[0.0, 0.0]]))
            turned += order.tolist() != [0, 1, 2]
        self.assertTrue(3 < turned < 27, turned)
        noisy = dataclasses.replace(plain, augment=av.Augment(noise=(1.0, 0.0, 5.0)))
        differences = [after.pixels - before.pixels for before, after in zip(plain, noisy, strict=True)]
        self.assertTrue(0.5 < np.std(differences) < 5.0)

    def test_half_precision_is_the_rounded_single(self):
        for sampler in (av.CenterCrop((6, 6, 6)), av.AsymmetricPatches(2)):
            for single, half in zip(self.loader(sampler), self.loader(sampler, dtype="float16"), strict=True):
                self.assertEqual(half.pixels.dtype, np.float16)
                np.testing.assert_array_equal(half.pixels, single.pixels.astype(np.float16))

    def test_labels_of_views_have_their_shapes(self):
        batch = next(iter(self.loader(av.AsymmetricPatches(3), batch=2)))
        shapes = {name: array.shape for name, array in batch.labels.items()}
        self.assertEqual(shapes, {"windows": (2, 2, 2), "anchors": (2, 2, 3), "delta": (2, 3), "degrees": (2, 3),
                                  "rotation": (2, 3, 3), "radii": (2, 2), "points": (2, 2, 3, 3)})
        labels = batch.labels
        np.testing.assert_allclose(labels["delta"], labels["anchors"][:, 1] - labels["anchors"][:, 0])
        for rotation in labels["rotation"]:
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        self.assertTrue((np.abs(labels["degrees"]) <= 20).all() and (np.linalg.norm(labels["points"], axis=-1) <= 30.001).all())
        self.assertTrue((np.abs(batch.pixels) <= 1).all())

    def test_shards_share_files_and_samples(self):
        shards = [self.loader(samples=19).shard(i, 2) for i in range(2)]
        self.assertEqual([len(shard.files) for shard in shards], [3, 2])
        self.assertEqual([shard.samples for shard in shards], [10, 9])
        self.assertEqual({path for shard in shards for path in shard.files}, set(self.files))
        self.assertNotEqual(shards[0].seed, shards[1].seed)
        self.assertEqual(sum(len(batch) for shard in shards for batch in shard), 19)
        for wrong in ((2, 2), (-1, 2), (0, 6)):
            with self.assertRaises(av.SettingError):
                self.loader().shard(*wrong)


class Memory(WithFiles):
    def test_a_buffer_is_used_again_only_when_nothing_shows_it(self):
        loader = self.loader(samples=60, workers=2, batch=2)
        kept = []
        for batch in loader:
            # A view of a view of a batch that is gone otherwise.
            kept.append((batch.pixels[0][:, 1:], batch.pixels[0][:, 1:].copy()))
        del batch
        gc.collect()
        for view, copy in kept:
            np.testing.assert_array_equal(view, copy)
        self.assertEqual(len({view.ctypes.data for view, _ in kept}), len(kept))

    def test_a_buffer_that_is_let_go_comes_back(self):
        addresses = [batch.pixels.ctypes.data for batch in self.loader(samples=60, workers=1, ahead=1)]
        self.assertLess(len(set(addresses)), 10)

    def test_arrays_and_tensors_share_the_buffer(self):
        batch = next(iter(self.loader()))
        pixels = batch.pixels
        self.assertTrue(pixels.flags.c_contiguous and pixels.flags.writeable and pixels.flags.aligned)
        pixels[...] = 3.0
        self.assertTrue(np.shares_memory(pixels, batch.pixels))
        self.assertTrue(np.shares_memory(np.asarray(batch), pixels))
        tensor = np.from_dlpack(batch)
        self.assertTrue(np.shares_memory(tensor, pixels))
        self.assertFalse(np.shares_memory(np.array(batch), pixels))
        self.assertEqual(np.asarray(batch, dtype="f8").dtype, np.float64)
        with self.assertRaises(ValueError):
            np.asarray(batch).astype(np.float32).__array__(np.float64, copy=False) if np.__version__ < "2" else np.array(batch, "f8", copy=False)
        del batch, pixels
        gc.collect()
        self.assertTrue((tensor == 3.0).all())

    def test_arrays_outlive_their_loader(self):
        batches = iter(self.loader())
        pixels = next(batches).pixels
        copy = pixels.copy()
        batches.close()
        del batches
        gc.collect()
        np.testing.assert_array_equal(pixels, copy)


class Life(WithFiles):
    def test_a_loader_is_settings(self):
        loader = self.loader(samples=9, batch=4)
        self.assertEqual((len(loader), len(list(loader)), len(list(loader))), (3, 3, 3))
        self.assertEqual(pickle.loads(pickle.dumps(loader)), loader)
        self.assertIn("RandomCrop(size=(8, 6, 5))", repr(loader))
        self.assertEqual(dataclasses.replace(loader, seed=1).files, loader.files)
        self.assertEqual(av.Loader([Path(path) for path in self.files], loader.sampler).files, loader.files)
        self.assertEqual(self.loader(batch=np.int64(4), samples=9), self.loader(batch=4, samples=9))
        with self.assertRaises(TypeError):
            len(self.loader(samples=None))

    def test_wrong_settings_are_refused_with_their_name(self):
        wrong = {"batch": 0, "workers": True, "pool": 0, "visits": 0, "decoders": 0, "ahead": 0, "seed": -1, "samples": 1.5,
                 "on_failure": "ignore", "dtype": "int8", "keep": "f32", "files": [], "labels": ["x"], "sampler": "crop"}
        for field, value in wrong.items():
            with self.subTest(field=field), self.assertRaisesRegex(ValueError, f"{field}|sampler"):
                dataclasses.replace(self.loader(), **{field: value})
        for sampler in (av.RandomCrop((8, 8)), av.CenterCrop((8, 0, 8)), av.AsymmetricPatches(0), av.PosNegCrop((8, 8, 8))):
            with self.assertRaises(av.SettingError):
                self.loader(sampler)
        for wrong in ({"prepare": ["ras"]}, {"prepare": [av.ZScore("some")]}, {"augment": 1}, {"sampler": av.AsymmetricPatches(2), "augment": av.Augment()}):
            with self.assertRaises(av.SettingError):
                dataclasses.replace(self.loader(), **wrong)
        for wrong in ({"prepare": [av.Spacing((0, 1, 1))]}, {"prepare": [av.ClipPercentiles(9, 1)]}, {"augment": av.Augment(flips=(2, 0, 0))}):
            with self.assertRaises(av.SettingError):
                iter(dataclasses.replace(self.loader(), **wrong))
        with self.assertRaises(av.SettingError):
            av.Loader("one.nii", av.RandomCrop((8, 8, 8)))

    def test_an_iterator_ends_and_counts(self):
        with iter(self.loader(samples=10, batch=4)) as batches:
            self.assertEqual([len(batch) for batch in batches], [4, 4, 2])
            self.assertEqual(list(batches), [])
            counters = batches.counters
            self.assertEqual((counters.samples, counters.skipped, batches.ready), (10, [], 0))
            self.assertGreater(counters.decoded_bytes, 0)
            self.assertEqual(batches.loader.samples, 10)
        self.assertEqual(batches.counters.samples, 10)
        self.assertEqual(list(batches), [])
        batches.close()

    def test_an_iterator_that_is_dropped_ends_its_threads(self):
        count = lambda: len(os.listdir("/proc/self/task"))
        if not os.path.isdir("/proc/self/task"):
            self.skipTest("needs /proc")
        before = count()
        batches = iter(self.loader(samples=None, workers=3))
        next(batches)
        self.assertGreaterEqual(count(), before + 4)
        del batches
        gc.collect()
        self.assertEqual(count(), before)

    def test_several_threads_share_an_iterator(self):
        batches, taken = iter(self.loader(samples=200, workers=2)), []
        threads = [threading.Thread(target=lambda: taken.extend(batch.first for batch in batches)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(taken), list(range(200)))

    def test_a_signal_interrupts_a_wait_and_loses_no_batch(self):
        # A batch that takes long: it decodes its file for every sample.
        slow = volumes.write(self.directory / "slow.nii", volumes.stored("float64", shape=(200, 200, 150)))
        batches = iter(av.Loader([slow], av.CenterCrop((4, 4, 4)), samples=8, batch=8, pool=None))

        class Stopped(Exception):
            pass

        def stop(number, frame):
            raise Stopped

        before = signal.signal(signal.SIGALRM, stop)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            with self.assertRaises(Stopped):
                next(batches)
            self.assertEqual([batch.first for batch in batches], [0])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


class Faults(WithFiles):
    def setUp(self):
        damaged = self.directory / "damaged.nii.gz"
        damaged.write_bytes(Path(self.files[0]).read_bytes()[:-200])
        self.damaged = str(damaged)
        self.missing = str(self.directory / "missing.nii")

    def test_failing_files_are_skipped_and_reported(self):
        loader = av.Loader([*self.files, self.damaged, self.missing], av.RandomCrop((8, 8, 8)), pool=2, visits=2, samples=60)
        batches = iter(loader)
        self.assertTrue({int(batch.files[0]) for batch in batches} <= set(range(5)))
        skipped = {each.file: each.reason for each in batches.counters.skipped}
        self.assertEqual(set(skipped), {5, 6})
        self.assertIn("missing.nii", skipped[6])

    def test_a_failing_file_ends_the_run_where_that_is_asked_for(self):
        for path, kind in ((self.missing, FileNotFoundError), (self.damaged, av.FormatError)):
            batches = iter(av.Loader([path], av.RandomCrop((8, 8, 8)), samples=5, on_failure="stop"))
            with self.assertRaises(kind) as caught:
                next(batches)
            self.assertEqual(caught.exception.path, path)
            self.assertEqual(list(batches), [])

    def test_no_readable_file_is_an_error_with_a_cause(self):
        with self.assertRaises(av.NoFileError) as caught:
            next(iter(av.Loader([self.missing], av.RandomCrop((8, 8, 8)), samples=5)))
        self.assertIsInstance(caught.exception.__cause__, av.MissingFileError)

    def test_volumes_that_do_not_fit_are_named(self):
        flat = volumes.write(self.directory / "4d.nii", volumes.stored(shape=(9, 9, 9, 2)))
        with self.assertRaises(av.UnfitError) as caught:
            next(iter(av.Loader([flat], av.RandomCrop((8, 8, 8)), samples=5, on_failure="stop")))
        self.assertEqual(caught.exception.path, flat)


def first_of(loader):
    """In a process of its own: the first pixels of a loader that was sent there."""
    return next(iter(loader)).pixels


class Forks(WithFiles):
    def in_child(self, work):
        """Runs `work` in a forked process; its exit status, with a time limit."""
        child = os.fork()
        if child == 0:
            status = 3
            try:
                signal.alarm(30)
                status = 0 if work() else 1
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def test_an_iterator_of_the_parent_is_refused_and_dropped_without_a_wait(self):
        batches = iter(self.loader(samples=None, workers=2))
        held = [next(batches)]

        def work():
            nonlocal batches
            for use in (lambda: next(batches), lambda: batches.counters, batches.close):
                try:
                    use()
                    return False
                except av.ForkError:
                    pass
            # What it took before is there; dropping all of it must not wait for threads that are gone.
            fine = held[0].pixels.shape == (1, 1, 8, 6, 5)
            held.clear()
            batches = None
            gc.collect()
            return fine

        self.assertEqual(self.in_child(work), 0)
        self.assertEqual(next(batches).first, 1)

    def test_a_loader_of_the_parent_works_in_a_fork(self):
        loader = self.loader()
        expected = next(iter(loader)).pixels
        self.assertEqual(self.in_child(lambda: np.array_equal(next(iter(loader)).pixels, expected)), 0)

    def test_a_loader_can_be_sent_to_a_spawned_process(self):
        loader = self.loader()
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            np.testing.assert_array_equal(pool.apply(first_of, (loader,)), next(iter(loader)).pixels)

    def test_the_interpreter_ends_while_threads_run(self):
        import subprocess
        import sys

        code = f"import assay_volumes as av; batches = iter(av.Loader({self.files!r}, av.RandomCrop((8, 8, 8)), workers=2)); next(batches)"
        self.assertEqual(subprocess.run([sys.executable, "-c", code], timeout=60).returncode, 0)


class Waiting(WithFiles):
    def test_other_threads_run_while_a_batch_is_made(self):
        """Without workers, `next` decodes; a thread that counts must go on meanwhile."""
        slow = volumes.write(self.directory / "slower.nii", volumes.stored("float64", shape=(200, 200, 150)))
        ticks, is_done = [], threading.Event()

        def count():
            while not is_done.is_set():
                ticks.append(time.monotonic())
                time.sleep(0.0005)

        thread = threading.Thread(target=count)
        thread.start()
        start = time.monotonic()
        next(iter(av.Loader([slow], av.CenterCrop((4, 4, 4)), workers=0, pool=None, samples=1)))
        end = time.monotonic()
        is_done.set()
        thread.join()
        self.assertGreater(sum(start < tick < end for tick in ticks), 2)


if __name__ == "__main__":
    unittest.main()
