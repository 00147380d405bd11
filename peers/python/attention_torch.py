"""PyTorch's scaled_dot_product_attention on the CPU, by the fastest of its backends for each case.

Packed sequences are a loop over the sequences.
"""

import time

import peer
import torch
from attention import Problem
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

BACKENDS = {"flash": SDPBackend.FLASH_ATTENTION, "math": SDPBackend.MATH}
TYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def window_of(problem):
    """The window as a matrix of booleans, which is how its users ask for one; None without a window."""
    if problem.mask != "window":
        return None
    # The last query stands at the last key.
    behind = (torch.arange(problem.queries) + problem.keys - problem.queries)[:, None] - torch.arange(problem.keys)
    left, right = problem.window
    return (behind <= left) & (behind >= -right)


def call_of(problem, q, k, v):
    """One call on [batch, heads, tokens, head_dim]."""
    options = dict(attn_mask=window_of(problem), enable_gqa=problem.heads != problem.kv_heads)
    if problem.mask == "causal" and problem.queries != problem.keys:
        options["attn_mask"] = torch.ones(problem.queries, problem.keys, dtype=torch.bool).tril(problem.keys - problem.queries)
    else:
        options["is_causal"] = problem.mask == "causal"
    if not problem.lengths:
        return lambda: scaled_dot_product_attention(q, k, v, **options)
    parts = list(zip(*(x.split(problem.lengths, dim=2) for x in (q, k, v))))
    return lambda: torch.cat([scaled_dot_product_attention(*part, **options) for part in parts], dim=2)


def seconds_of(call):
    """The shortest of three calls after a first one."""
    call()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def fastest(call):
    """Name of the backend that takes least time for the call; a backend that refuses it does not take part."""
    times = {}
    for name, backend in BACKENDS.items():
        try:
            with sdpa_kernel([backend]):
                times[name] = seconds_of(call)
        except RuntimeError:
            continue
    if not times:
        raise NotImplementedError("no backend takes this call")
    return min(times, key=times.get)


def use(name):
    """Makes a backend the only one, for all calls that follow: choosing it anew for each call would be timed."""
    torch.backends.cuda.enable_flash_sdp(name == "flash")
    torch.backends.cuda.enable_math_sdp(name == "math")
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)


class Implementation:
    def __init__(self, threads):
        torch.set_num_threads(threads)
        self.threads = threads

    def describe(self):
        isa = torch.backends.cpu.get_cpu_capability()
        return {"name": "torch", "version": torch.__version__, "settings": f"{self.threads} threads, {isa}"}

    def load(self, case, params, inputs):
        problem = Problem.of(params)
        operands = problem.operands(inputs)
        # Contiguous by head, as its kernel reads fastest.
        as_tensor = lambda x: torch.from_numpy(x).to(TYPES[problem.type]).transpose(1, 2).contiguous()
        call = call_of(problem, *(as_tensor(operands[name]) for name in "qkv"))
        name = fastest(call)
        use(name)
        kept = [None]

        def run():
            kept[0] = call()

        output = lambda: kept[0].transpose(1, 2).contiguous().float().numpy().tobytes()
        return {"ran": f"sdpa {name}", "run": run, "output": output}


if __name__ == "__main__":
    with torch.inference_mode():
        peer.serve(Implementation(peer.threads_argument()))
