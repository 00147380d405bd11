"""The PyPI package gguf as a peer: its reader opens a model's file."""

import struct
from importlib.metadata import version
from pathlib import Path

import gguf
import peer


def fnv(data):
    """FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def scalar(kind, part):
    """One value as every implementation writes it; see crates/assay/src/implementations/gguf.rs."""
    types = gguf.GGUFValueType
    if kind == types.STRING:
        return fnv(bytes(part))
    if kind == types.BOOL:
        return "true" if part[0] else "false"
    if kind in (types.FLOAT32, types.FLOAT64):
        return struct.pack(">d", float(part[0])).hex()
    return str(int(part[0]))


def value(field):
    """The value of a key."""
    if field.types[0] != gguf.GGUFValueType.ARRAY:
        return scalar(field.types[0], field.parts[field.data[0]])
    elements = [scalar(field.types[1], field.parts[at]) for at in field.data]
    return f"{len(elements)} {fnv(chr(10).join(elements).encode())}"


def dump(number, reader):
    """The contents of a file under its number, as sorted lines."""
    lines = [
        f"K\t{key}\t{value(field)}\n" for key, field in reader.fields.items() if not key.startswith("GGUF.")
    ]
    for tensor in reader.tensors:
        dims = [int(dim) for dim in tensor.shape]
        while dims and dims[-1] == 1:
            dims.pop()
        shape = ",".join(map(str, dims))
        data = fnv(tensor.data.tobytes())
        lines.append(f"T\t{tensor.name}\t{int(tensor.tensor_type)}\t{shape}\t{int(tensor.data_offset)}\t{data}\n")
    return f"F\t{number}\n" + "".join(sorted(lines))


class Implementation:
    def __init__(self, threads):
        self.threads = threads

    def describe(self):
        return {"name": "gguf-py", "version": version("gguf"), "settings": "GGUFReader, one thread"}

    def load(self, case, params, inputs):
        paths = sorted(Path(inputs).glob("*.gguf"))
        opened = [gguf.GGUFReader(path) for path in paths]

        def run():
            opened[:] = [gguf.GGUFReader(path) for path in paths]

        def output():
            return "".join(dump(*numbered) for numbered in enumerate(opened)).encode()

        return {"ran": "open, memmap, parse", "run": run, "output": output}


if __name__ == "__main__":
    peer.serve(Implementation(peer.threads_argument()))
