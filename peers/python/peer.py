"""The request loop of an implementation in Python; crates/peer documents the protocol.

An implementation has `describe()` and `load(case, params, inputs)`. The latter gives a dict: `run`, one timed iteration; `output`, the
result of the last one as bytes; `ran`, what runs; and where they mean something `flops`, `bytes` and `prepare_s`. It raises
NotImplementedError for a case that it does not have. Its `regime` says by then where the operands are before each run: "resident", or
"streamed" for operands that no cache holds (`copies`).
"""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path

# A batch of iterations between two readings of the clock lasts at least this long.
BATCH_S = 50e-6


def threads_argument():
    """The number after --threads on the command line; 1 without it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_known_args()[0].threads


def timed(run, seconds):
    """Iterations in at least `seconds`, and how long they took."""
    iterations, elapsed, batch = 0, 0.0, 1
    while True:
        start = time.perf_counter()
        for _ in range(batch):
            run()
        took = time.perf_counter() - start
        iterations += batch
        elapsed += took
        if elapsed >= seconds:
            return {"iterations": iterations, "elapsed_s": elapsed}
        if took < BATCH_S:
            batch *= 2


def last_level_bytes():
    """Size of all caches of the last level together."""
    caches = {}
    for index in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cache/index*"):
        read = lambda name: (index / name).read_text().strip()
        if read("type") in ("Data", "Unified"):
            size = int(read("size").rstrip("KM")) << (20 if read("size").endswith("M") else 10)
            caches[int(read("level")), read("shared_cpu_list")] = size
    last = max((level for level, _ in caches), default=0)
    return sum(size for (level, _), size in caches.items() if level == last) or 32 << 20


def copies(regime, size):
    """How many copies of an operand of `size` bytes the runs rotate over, by the rule of crates/op: one, or so many that all copies but
    the one just used exceed four times the last-level cache."""
    return 1 if regime == "resident" else 1 - -4 * last_level_bytes() // max(size, 1)


def show(implementation, request):
    """Loads the case, runs it once and writes its result; the loaded case and the answer."""
    implementation.regime = request.get("regime", "resident")
    loaded = implementation.load(request["case"], request["params"], request["inputs"])
    loaded["run"]()
    with open(request["output"], "wb") as file:
        file.write(loaded["output"]())
    about = {key: loaded[key] for key in ("ran", "flops", "bytes", "prepare_s") if loaded.get(key) is not None}
    return loaded, {"ok": about}


def answer_to(implementation, loaded, request):
    """What is loaded after the request, and its answer."""
    what = request.get("do")
    if what == "describe":
        return loaded, implementation.describe()
    if what == "load":
        return show(implementation, request)
    if what == "time" and loaded is not None:
        return loaded, {"ok": timed(loaded["run"], request["seconds"])}
    if what == "unload":
        return None, {"ok": {}}
    return loaded, {"error": f"this request is unknown, or no case is loaded: {what}"}


def serve(implementation):
    """Answers the parent on stdin and stdout until stdin ends."""
    # What a library prints must not mix with the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    loaded = None
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("do") == "load":
            # Frees the previous case before the next one allocates.
            loaded = None
        try:
            loaded, answer = answer_to(implementation, loaded, request)
        except NotImplementedError as error:
            answer = {"unsupported": str(error)}
        except Exception as error:  # A failure is an answer, and the loop continues.
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
