"""What the attention peers in Python share: the case, and its operands as numpy arrays.

The inputs are the files q, k and v of a case, tokens before heads: [batch, tokens, heads, head_dim]. Results are f32 in the same order.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Problem:
    """A case of `attention::cases`. `lengths` are those of packed sequences; it is empty where there are none. `window` is how many keys
    before and after its own position a query sees."""

    type: str
    batch: int
    queries: int
    keys: int
    heads: int
    kv_heads: int
    head_dim: int
    mask: str
    window: tuple
    lengths: list

    @classmethod
    def of(cls, params):
        if params["value_dim"] != params["head_dim"]:
            raise NotImplementedError("values have other extents than keys")
        names = ("type", "batch", "queries", "keys", "heads", "kv_heads", "head_dim", "mask")
        window = (params.get("left"), params.get("right"))
        lengths = [int(length) for length in str(params.get("lengths", "")).split(",") if length]
        return cls(*(params[name] for name in names), window, lengths)

    def operands(self, inputs):
        """q, k and v as float32 [batch, tokens, heads, head_dim]; bfloat16 is widened, which is exact."""
        shapes = {
            "q": (self.batch, self.queries, self.heads, self.head_dim),
            "k": (self.batch, self.keys, self.kv_heads, self.head_dim),
            "v": (self.batch, self.keys, self.kv_heads, self.head_dim),
        }
        return {name: self._read(Path(inputs) / name).reshape(shape) for name, shape in shapes.items()}

    def _read(self, path):
        if self.type == "bf16":
            return (np.fromfile(path, "<u2").astype("<u4") << 16).view("<f4")
        return np.fromfile(path, "<f2" if self.type == "f16" else "<f4").astype("<f4")
