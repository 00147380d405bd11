"""Writes a model of `rwkv7_model` as GGUF, with the keys, names, shapes and types of llama.cpp's converter."""

import os

import gguf
import numpy as np

TYPES = gguf.GGMLQuantizationType
# Matrices that the converter keeps in F32 in every file.
ALWAYS_F32 = ("time_mix_w1.weight", "time_mix_w2.weight", "time_mix_lerp_fused.weight")


def token_text(byte):
    """A token as the converter writes it: the escapes of Python's repr of the bytes."""
    return repr(bytes([byte]))[2:-1]


def tensors(parameters):
    """Names and arrays in the order of the layers, with the unused value mix of layer 0 that readers expect."""
    for name, array in parameters.items():
        if name.startswith("blk.0.time_mix_a"):
            yield name.replace("time_mix_a", "time_mix_v"), array
        yield name, array


def write(path, parameters, config, half, name):
    """Writes the file under another name first. `half` keeps the matrices in F16, else all is F32."""
    partial = f"{path}.partial"
    writer = gguf.GGUFWriter(partial, "rwkv7")
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_license("MIT OR Apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if half else gguf.LlamaFileType.ALL_F32)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(1048576)
    writer.add_embedding_length(config.width)
    writer.add_block_count(config.layers)
    writer.add_layer_norm_eps(1e-5)
    writer.add_wkv_head_size(config.head)
    writer.add_decay_lora_rank(config.decay_rank)
    writer.add_iclr_lora_rank(config.rate_rank)
    writer.add_value_residual_mix_lora_rank(config.value_rank)
    writer.add_gate_lora_rank(config.gate_rank)
    writer.add_feed_forward_length(config.inner)
    writer.add_head_count(0)
    writer.add_tokenizer_model("rwkv")
    writer.add_token_list([token_text(byte) for byte in range(256)])
    writer.add_token_types([gguf.TokenType.NORMAL] * 256)
    for key, array in tensors(parameters):
        is_matrix = array.ndim >= 2 and key.endswith(".weight") and not key.endswith(ALWAYS_F32)
        kind = np.float16 if half and is_matrix else np.float32
        writer.add_tensor(key, np.ascontiguousarray(array, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(partial, path)


def write_pair(prefix, parameters, config, name):
    """PREFIX-f32.gguf and PREFIX-f16.gguf."""
    parameters = {key: np.asarray(array) for key, array in parameters.items()}
    for half, suffix in ((False, "f32"), (True, "f16")):
        write(f"{prefix}-{suffix}.gguf", parameters, config, half, name)
