"""ONNX Runtime's fused attention on the CPU: MultiHeadAttention of com.microsoft, or Attention of ONNX opset 23 for grouped queries."""

import numpy as np
import onnxruntime
import peer
from attention import Problem
from onnx import TensorProto, helper

ELEMENTS = {"f32": (TensorProto.FLOAT, np.float32), "f16": (TensorProto.FLOAT16, np.float16)}


def node_of(problem):
    """The operator: inputs [batch, tokens, heads * head_dim]."""
    names = dict(inputs=["q", "k", "v"], outputs=["out"])
    is_causal = int(problem.mask == "causal")
    if problem.heads == problem.kv_heads:
        return helper.make_node(
            "MultiHeadAttention", domain="com.microsoft", num_heads=problem.heads, unidirectional=is_causal, **names
        )
    heads = dict(q_num_heads=problem.heads, kv_num_heads=problem.kv_heads)
    return helper.make_node("Attention", is_causal=is_causal, **heads, **names)


def session_of(problem, threads):
    element, _ = ELEMENTS[problem.type]
    shape = lambda tokens, heads: [problem.batch, tokens, heads * problem.head_dim]
    tensor = lambda name, *shape_of: helper.make_tensor_value_info(name, element, shape(*shape_of))
    inputs = [
        tensor("q", problem.queries, problem.heads),
        tensor("k", problem.keys, problem.kv_heads),
        tensor("v", problem.keys, problem.kv_heads),
    ]
    graph = helper.make_graph([node_of(problem)], "attention", inputs, [tensor("out", problem.queries, problem.heads)])
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Implementation:
    def __init__(self, threads):
        self.threads = threads

    def describe(self):
        settings = f"{self.threads} threads, no spinning"
        return {"name": "onnxruntime", "version": onnxruntime.__version__, "settings": settings}

    def load(self, case, params, inputs):
        problem = Problem.of(params)
        if problem.type not in ELEMENTS:
            raise NotImplementedError("its CPU kernels have no bfloat16")
        if problem.mask not in ("none", "causal"):
            raise NotImplementedError(f"there is no mask {problem.mask}")
        if problem.mask == "causal" and problem.queries != problem.keys:
            raise NotImplementedError("its causal mask starts at the upper left, ours ends at the lower right")
        if problem.lengths:
            raise NotImplementedError("its packed attention has no CPU kernel")
        try:
            session = session_of(problem, self.threads)
        except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as error:
            raise NotImplementedError(f"{problem.type}: no CPU kernel") from error
        _, element = ELEMENTS[problem.type]
        binding = session.io_binding()
        values = []
        for name, x in problem.operands(inputs).items():
            x = x.reshape(problem.batch, x.shape[1], -1).astype(element)
            values.append(onnxruntime.OrtValue.ortvalue_from_numpy(x, "cpu", 0))
            binding.bind_ortvalue_input(name, values[-1])
        shape = [problem.batch, problem.queries, problem.heads * problem.head_dim]
        out = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, element, "cpu", 0)
        binding.bind_ortvalue_output("out", out)
        name = "MultiHeadAttention" if problem.heads == problem.kv_heads else "Attention"
        return {
            "ran": name,
            "run": lambda: session.run_with_iobinding(binding),
            "output": lambda: out.numpy().astype("<f4").tobytes(),
        }


if __name__ == "__main__":
    peer.serve(Implementation(peer.threads_argument()))
