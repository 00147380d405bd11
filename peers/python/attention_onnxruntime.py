"""ONNX Runtime's fused attention on the CPU, by the fastest of its operators for each case.

`MultiHeadAttention` and `GroupQueryAttention` are of com.microsoft, `Attention` is of ONNX opset 23. GroupQueryAttention is what exported
language models use: causal, and with its cache appended in place. One query sees every key, so it stands for no mask there.
"""

import time

import numpy as np
import onnxruntime
import peer
from attention import Problem
from onnx import TensorProto, helper

ELEMENTS = {"f32": np.float32, "f16": np.float16}
ONNX_TYPES = {np.dtype("f4"): TensorProto.FLOAT, np.dtype("f2"): TensorProto.FLOAT16, np.dtype("i4"): TensorProto.INT32}

# Why a session cannot be made or run: the operator does not take the case.
REFUSALS = (
    onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented,
    onnxruntime.capi.onnxruntime_pybind11_state.Fail,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument,
    onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph,
    onnxruntime.capi.onnxruntime_pybind11_state.RuntimeException,
)


def by_token(x):
    """[batch, tokens, heads * head_dim]."""
    return np.ascontiguousarray(x.reshape(x.shape[0], x.shape[1], -1))


def by_head(x):
    """[batch, heads, tokens, head_dim]."""
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3))


class Call:
    """A model of one node, with its inputs and outputs bound. `shared` are outputs that are written into the buffer of an input."""

    def __init__(self, threads, node, inputs, out, present=(), shared=()):
        self.inputs = {name: onnxruntime.OrtValue.ortvalue_from_numpy(x, "cpu", 0) for name, x in inputs.items()}
        self.out = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(out.shape), out.dtype, "cpu", 0)
        element = ONNX_TYPES[out.dtype]
        outputs = {"out": list(out.shape), **{name: list(shape) for name, shape in dict(present).items()}}
        graph = helper.make_graph(
            [node],
            "attention",
            [helper.make_tensor_value_info(name, ONNX_TYPES[x.dtype], list(x.shape)) for name, x in inputs.items()],
            [helper.make_tensor_value_info(name, element, shape) for name, shape in outputs.items()],
        )
        opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()
        for name, value in self.inputs.items():
            self.binding.bind_ortvalue_input(name, value)
        self.binding.bind_ortvalue_output("out", self.out)
        for name in dict(present):
            if name in shared:
                self.binding.bind_ortvalue_output(name, self.inputs[dict(shared)[name]])
            else:
                self.binding.bind_output(name, "cpu")

    def run(self):
        self.session.run_with_iobinding(self.binding)


def multi_head(problem, threads, q, k, v, out):
    """No mask. K and V by head, so that the operator need not transpose them."""
    if problem.mask != "none" or problem.heads != problem.kv_heads:
        return None
    node = helper.make_node("MultiHeadAttention", ["q", "k", "v"], ["out"], domain="com.microsoft", num_heads=problem.heads)
    return Call(threads, node, {"q": by_token(q), "k": by_head(k), "v": by_head(v)}, out)


def multi_head_causal(problem, threads, q, k, v, out):
    """Its causal mask starts at the upper left, ours ends at the lower right."""
    if problem.mask != "causal" or problem.heads != problem.kv_heads or problem.queries != problem.keys:
        return None
    options = dict(domain="com.microsoft", num_heads=problem.heads, unidirectional=1)
    node = helper.make_node("MultiHeadAttention", ["q", "k", "v"], ["out"], **options)
    return Call(threads, node, {"q": by_token(q), "k": by_token(k), "v": by_token(v)}, out)


def group_query(problem, threads, q, k, v, out):
    """Causal, the last query at the last key. Keys before the queries lie in the cache, which the operator appends to in place."""
    left, right = problem.window
    is_causal = problem.mask == "causal" or (problem.mask == "window" and right == 0) or (problem.mask == "none" and problem.queries == 1)
    if not is_causal:
        return None
    options = dict(domain="com.microsoft", num_heads=problem.heads, kv_num_heads=problem.kv_heads)
    if problem.mask == "window":
        options["local_window_size"] = left + 1
    total = problem.keys
    inputs = {
        "q": by_token(q),
        "k": by_token(k[:, total - problem.queries :]),
        "v": by_token(v[:, total - problem.queries :]),
        "seqlens": np.full(problem.batch, total - 1, np.int32),
        "total": np.array(total, np.int32),
    }
    has_past = problem.queries < total
    names = ["q", "k", "v", "past_k" if has_past else "", "past_v" if has_past else "", "seqlens", "total"]
    node = helper.make_node("GroupQueryAttention", names, ["out", "present_k", "present_v"], **options)
    cache = (problem.batch, problem.kv_heads, total, problem.head_dim)
    shared = {}
    if has_past:
        inputs |= {"past_k": by_head(k), "past_v": by_head(v)}
        shared = {"present_k": "past_k", "present_v": "past_v"}
    return Call(threads, node, inputs, out, {"present_k": cache, "present_v": cache}, shared)


def attention(problem, threads, q, k, v, out):
    """The operator of ONNX itself, by head."""
    if problem.mask == "window" or (problem.mask == "causal" and problem.queries != problem.keys):
        return None
    node = helper.make_node("Attention", ["q", "k", "v"], ["out"], is_causal=int(problem.mask == "causal"))
    out = np.empty((problem.batch, problem.heads, problem.queries, problem.head_dim), out.dtype)
    return Call(threads, node, {"q": by_head(q), "k": by_head(k), "v": by_head(v)}, out)


# Those that are fast most often come first.
OPERATORS = {
    "GroupQueryAttention": group_query,
    "MultiHeadAttention": multi_head,
    "MultiHeadAttention, unidirectional": multi_head_causal,
    "Attention": attention,
}

# Whose first call takes so many times the shortest call of another operator is not called again.
HOPELESS = 5


def seconds_of(call, best):
    """The shortest of four calls, or the first one if it is hopeless beside `best`."""
    times = []
    for _ in range(4):
        start = time.perf_counter()
        call.run()
        times.append(time.perf_counter() - start)
        if times[0] > HOPELESS * best:
            break
    return min(times)


def fastest(problem, threads, q, k, v):
    """Name and call of the operator that takes least time; one that refuses the case does not take part."""
    out = np.empty((problem.batch, problem.queries, problem.heads * problem.head_dim), q.dtype)
    calls = {}
    for name, operator in OPERATORS.items():
        try:
            call = operator(problem, threads, q, k, v, out)
            if call is not None:
                best = min((seconds for seconds, _ in calls.values()), default=float("inf"))
                calls[name] = seconds_of(call, best), call
        except REFUSALS:
            continue
    if not calls:
        raise NotImplementedError("no operator takes the case on the CPU")
    name = min(calls, key=lambda name: calls[name][0])
    return name, calls[name][1]


class Implementation:
    def __init__(self, threads):
        self.threads = threads

    def describe(self):
        settings = f"{self.threads} threads, which spin between calls, as by default"
        return {"name": "onnxruntime", "version": onnxruntime.__version__, "settings": settings}

    def load(self, case, params, inputs):
        problem = Problem.of(params)
        if problem.type not in ELEMENTS:
            raise NotImplementedError("its CPU kernels have no bfloat16")
        if problem.lengths:
            raise NotImplementedError("its packed attention has no CPU kernel")
        operands = {name: x.astype(ELEMENTS[problem.type]) for name, x in problem.operands(inputs).items()}
        name, call = fastest(problem, self.threads, **operands)

        def output():
            out = call.out.numpy()
            return np.ascontiguousarray(out.transpose(0, 2, 1, 3) if out.ndim == 4 else out).astype("<f4").tobytes()

        return {"ran": name, "run": call.run, "output": output}


if __name__ == "__main__":
    peer.serve(Implementation(peer.threads_argument()))
