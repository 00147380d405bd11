"""The package as users meet it: what it exports, its types and documentation, and the README's snippets."""

import ast
import importlib.metadata
import importlib.util
import inspect
import unittest
from pathlib import Path

import assay_volumes as av
import volumes
from assay_volumes import _native

PACKAGE = Path(av.__file__).parent
README = Path(__file__).parents[1] / "README.md"


def snippets():
    """The README's blocks of Python, each under its heading."""
    found, heading, block = [], "", None
    for line in README.read_text(encoding="utf-8").splitlines():
        if line == "```python":
            block = []
        elif line == "```" and block is not None:
            found.append((heading, "\n".join(block)))
            block = None
        elif block is not None:
            block.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    return found


class Package(unittest.TestCase):
    def test_all_that_is_exported_is_there_and_documented(self):
        for name in av.__all__:
            value = getattr(av, name)
            if name != "__version__":
                self.assertTrue(inspect.getdoc(value), name)
        self.assertEqual(importlib.metadata.version("assay-volumes"), av.__version__)
        for name, value in vars(av).items():
            if isinstance(value, type) and issubclass(value, Exception):
                self.assertTrue(issubclass(value, av.VolumeError), name)

    def test_stubs_list_what_the_module_has(self):
        self.assertTrue((PACKAGE / "py.typed").exists())
        tree = ast.parse((PACKAGE / "_native.pyi").read_text(encoding="utf-8"))
        for item in tree.body:
            if isinstance(item, ast.FunctionDef):
                self.assertTrue(callable(getattr(_native, item.name)), item.name)
            if isinstance(item, ast.ClassDef):
                stubs = {member.name for member in item.body if isinstance(member, ast.FunctionDef)} - {"__new__"}
                real = set(vars(getattr(_native, item.name)))
                self.assertEqual(stubs - real, set(), item.name)
                own = {"__doc__", "__module__", "__new__", "__reduce__", "__repr__"}
                self.assertEqual(real - stubs - own, set(), item.name)
                for member in stubs - {name for name in stubs if name.startswith("__")}:
                    self.assertTrue(inspect.getdoc(getattr(getattr(_native, item.name), member)), f"{item.name}.{member}")

    def run_snippets(self, wanted, names):
        """Runs the snippets under the headings that are wanted, in order; what they defined."""
        found = [(heading, code) for heading, code in snippets() if wanted(heading)]
        self.assertTrue(found)
        for heading, code in found:
            exec(compile(code, f"{README.name}: {heading}", "exec"), names)
        return names

    def test_the_snippets_of_the_readme_run(self):
        with volumes.directory() as directory:
            paths = volumes.brains(directory, 3)
            is_here = lambda heading: heading not in ("For users of PyTorch", "For users of MONAI")
            names = self.run_snippets(is_here, {"path": paths[0], "paths": paths})
            self.assertEqual(names["patch"].shape, (8, 8))
            self.assertEqual(names["part"].data.shape, (8, 8, 4))
            self.assertEqual(names["batch"].pixels.shape, (2, 1, 8, 8, 8))
            self.assertIs(names["as_nibabel"].dataobj, names["image"].data)

    @unittest.skipUnless(importlib.util.find_spec("torch"), "PyTorch is not installed")
    def test_the_snippet_for_pytorch_runs_with_and_without_processes(self):
        import torch

        with volumes.directory() as directory:
            loader = av.Loader(volumes.brains(directory, 3), av.RandomCrop((8, 8, 8)), batch=2, pool=2, visits=4, samples=10)
            names = self.run_snippets(lambda heading: heading == "For users of PyTorch", {"av": av, "loader": loader})
            self.assertEqual(tuple(names["pixels"].shape), (2, 1, 8, 8, 8))
            dataset = names["Batches"](loader)
            first = next(iter(loader))
            self.assertEqual(torch.from_dlpack(first).data_ptr(), first.pixels.ctypes.data)
            for workers in (0, 2):
                loaded = list(torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=workers, multiprocessing_context="fork" if workers else None))
                self.assertEqual(sum(len(pixels) for pixels in loaded), 10)

    @unittest.skipUnless(importlib.util.find_spec("monai"), "MONAI is not installed")
    def test_the_snippet_for_monai_reads_what_its_own_reader_reads(self):
        import numpy
        from monai.transforms import LoadImage

        with volumes.directory() as directory:
            path = volumes.brains(directory, 1)[0]
            names = self.run_snippets(lambda heading: heading == "For users of MONAI", {"av": av, "path": path})
            ours = LoadImage(reader=names["VolumeReader"]())(path)
            theirs = LoadImage(reader="NibabelReader")(path)
            numpy.testing.assert_array_equal(ours.numpy(), theirs.numpy())
            numpy.testing.assert_allclose(ours.affine.numpy(), theirs.affine.numpy())


if __name__ == "__main__":
    unittest.main()
