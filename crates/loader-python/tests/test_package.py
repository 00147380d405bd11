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

    def test_the_snippets_of_the_readme_run(self):
        needs = {"For users of PyTorch": "torch", "For users of MONAI": "monai"}
        with volumes.directory() as directory:
            paths = volumes.brains(directory, 3)
            names = {"path": paths[0], "paths": paths}
            for heading, code in snippets():
                missing = needs.get(heading) and importlib.util.find_spec(needs[heading]) is None
                with self.subTest(heading):
                    if missing:
                        self.skipTest(f"{needs[heading]} is not installed")
                    exec(compile(code, f"{README.name}: {heading}", "exec"), names)
            self.assertEqual(names["patch"].shape, (8, 8))
            self.assertEqual(names["part"].data.shape, (8, 8, 4))
            self.assertEqual(names["batch"].pixels.shape, (2, 1, 8, 8, 8))
            self.assertIs(names["as_nibabel"].dataobj, names["image"].data)


if __name__ == "__main__":
    unittest.main()
