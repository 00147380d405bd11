"""Exceptions. Every one is a `VolumeError`, and a subclass of the built-in exception that fits.

    VolumeError
    ├── FileError (OSError)            the system cannot open or read a file
    │   ├── MissingFileError (FileNotFoundError)
    │   └── DeniedFileError (PermissionError)
    ├── FormatError (ValueError)       the content of a file is wrong
    │   ├── TruncatedError             it ends before its voxels do
    │   ├── GzipError                  its gzip stream is damaged
    │   └── TooLargeError              it claims more than it can hold, or more than is allowed
    ├── ConversionError (ValueError)   voxels cannot become what was asked for
    ├── RegionError (IndexError)       a region is empty or outside the volume
    ├── SettingError (ValueError)      a loader's settings do not fit each other or the data
    ├── UnfitError (ValueError)        a file can be read, but is no volume for a loader
    ├── LoaderError (RuntimeError)
    │   ├── NoFileError                none of a loader's files can be read
    │   └── ForkError                  an iterator is used in a forked process
    └── InternalError (RuntimeError)   a fault of this package
"""


class VolumeError(Exception):
    """Base of all exceptions of this package. `path` is the file that it is about, or None."""

    path: "str | None" = None


class FileError(VolumeError, OSError):
    """The operating system cannot open or read a file; `errno` and `filename` as in `OSError`."""


class MissingFileError(FileError, FileNotFoundError):
    """There is no such file."""


class DeniedFileError(FileError, PermissionError):
    """The file may not be read."""


class FormatError(VolumeError, ValueError):
    """The file is no NIfTI or ANALYZE volume, or one with a wrong header. The message names field, offset and value."""


class TruncatedError(FormatError):
    """The file ends before its voxels do. A part of a volume is never returned."""


class GzipError(FormatError):
    """The gzip stream is damaged; the message says where."""


class TooLargeError(FormatError):
    """The header asks for more than the file can hold. Nothing was allocated."""


class ConversionError(VolumeError, ValueError):
    """The voxels cannot become what was asked for: colors as numbers, or values that an integer type lacks."""


class RegionError(VolumeError, IndexError):
    """A region is empty, or reaches beyond the volume."""


class SettingError(VolumeError, ValueError):
    """A loader's settings do not fit each other or the data."""


class UnfitError(VolumeError, ValueError):
    """A file can be read, but is no volume for a loader: more axes than three, or labels of another shape."""


class LoaderError(VolumeError, RuntimeError):
    """A loader cannot go on."""


class NoFileError(LoaderError):
    """None of a loader's files can be read; the cause is the error of the last one."""


class ForkError(LoaderError):
    """An iterator, whose threads did not survive a fork, is used in the forked process."""


class InternalError(VolumeError, RuntimeError):
    """A fault of this package: please report it with its message."""
