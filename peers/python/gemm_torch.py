"""PyTorch's matrix product on the CPU: `torch.mm` into a tensor that exists, as its users call it in a loop.

Weights that are stored by columns are the transpose of a contiguous matrix, as in `torch.nn.Linear`.
"""

from pathlib import Path

import numpy as np
import peer
import torch

TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def read(path, type):
    """The values of a file as a flat tensor."""
    if type == "bf16":
        return torch.from_numpy(np.fromfile(path, "<i2")).view(torch.bfloat16)
    return torch.from_numpy(np.fromfile(path, "<f2" if type == "f16" else "<f4"))


class Implementation:
    def __init__(self, threads):
        torch.set_num_threads(threads)
        self.threads = threads

    def describe(self):
        isa = torch.backends.cpu.get_cpu_capability()
        return {"name": "torch", "version": torch.__version__, "settings": f"{self.threads} threads, {isa}"}

    def load(self, case, params, inputs):
        type, m, n, k = (params[name] for name in ("type", "m", "n", "k"))
        if type not in TYPES:
            raise NotImplementedError(f"no products of {type}")
        a = read(Path(inputs) / "a", type).view(m, k)
        b = read(Path(inputs) / "b", type)
        by_columns = params["b"] == "columns"
        copies = peer.copies(self.regime, b.numel() * b.element_size())
        stored = [b.clone() for _ in range(copies)]
        factors = [x.view(n, k).t() if by_columns else x.view(k, n) for x in stored]
        c = torch.full((m, n), float("nan"), dtype=TYPES[type])
        at = [0]

        def run():
            torch.mm(a, factors[at[0]], out=c)
            at[0] = (at[0] + 1) % copies

        flops, moved = 2 * m * n * k, b.element_size() * (m * k + k * n + m * n)
        output = lambda: c.float().numpy().tobytes()
        return {"ran": "mm", "run": run, "output": output, "flops": flops, "bytes": moved}


if __name__ == "__main__":
    with torch.inference_mode():
        peer.serve(Implementation(peer.threads_argument()))
