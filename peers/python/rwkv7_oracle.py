"""RWKV-7 in float64, straight from a GGUF file of any type: the oracle for logits.

    rwkv7_oracle.py MODEL.gguf --tokens 1,2,3 --out logits.npy      [positions, vocabulary], float32
    rwkv7_oracle.py MODEL.gguf --text "a=17 b=93; b=" --out …       the same for a vocabulary whose token is a byte

It takes one token at a time and shares nothing with `rwkv7_model.py`, the model in training. All weights are
dequantized by the package gguf and all arithmetic is float64, so a quantized file gives the logits of its weights
without any rounding of activations.
"""

import argparse

import gguf
import numpy as np

GROUP_EPSILON, DECAY = 64e-5, -0.606531


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalized(x, epsilon):
    """Rows with mean 0 and variance 1."""
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon)


class Layer:
    """The weights and the state of one layer: two shifted inputs and a matrix for each head."""

    def __init__(self, weights, width, head):
        self.w, self.heads = weights, (width // head, head)
        self.attention_input, self.channel_input = np.zeros(width), np.zeros(width)
        self.state = np.zeros((width // head, head, head))

    def norm(self, x, name, epsilon):
        return normalized(x, epsilon) * self.w[name + ".weight"] + self.w[name + ".bias"]

    def low_rank(self, x, name, inner):
        return self.w[f"time_mix_{name}2.weight"] @ inner(self.w[f"time_mix_{name}1.weight"] @ x)

    def time_mix(self, x, first, epsilon):
        """The change that the time mix makes to x, and the value of the first layer."""
        w = {key.removeprefix("time_mix_").removesuffix(".weight"): array for key, array in self.w.items()}
        now = self.norm(x, "attn_norm", epsilon)
        before, self.attention_input = self.attention_input, now
        mu = w["lerp_fused"].reshape(-1, x.size)
        xr, xw, xk, xv, xa = now + (before - now) * mu[:5]
        receptance, key, value = w["receptance"] @ xr, w["key"] @ xk, w["value"] @ xv
        decay = np.exp(DECAY * sigmoid(self.low_rank(xw, "w", np.tanh) + w["w0"]))
        if first is None:
            first = value
        else:
            value = value + (first - value) * sigmoid(self.low_rank(xv, "v", np.asarray) + w["v0"])
        rate = sigmoid(self.low_rank(xa, "a", np.asarray) + w["a0"])
        direction = (key * w["k_k"]).reshape(self.heads)
        direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-12)
        key = key * (1 + (rate - 1) * w["k_a"])
        r, k, v, d, a = (y.reshape(self.heads) for y in (receptance, key, value, decay, rate))
        y = np.empty(self.heads)
        for h, state in enumerate(self.state):
            removed = state @ -direction[h]
            state = state * d[h] + np.outer(v[h], k[h]) + np.outer(removed, direction[h] * a[h])
            self.state[h] = state
            y[h] = state @ r[h]
        y = normalized(y, GROUP_EPSILON).reshape(-1) * w["ln"] + self.w["time_mix_ln.bias"]
        bonus = (k * r * w["r_k"].reshape(self.heads)).sum(1, keepdims=True)
        y = y + (bonus * v).reshape(-1)
        if "g1" in w:
            y = y * self.low_rank(now + (before - now) * mu[5], "g", sigmoid)
        return w["output"] @ y, first

    def channel_mix(self, x, epsilon):
        now = self.norm(x, "attn_norm_2", epsilon)
        before, self.channel_input = self.channel_input, now
        mixed = now + (before - now) * self.w["channel_mix_lerp_k.weight"].reshape(-1)
        return self.w["channel_mix_value.weight"] @ np.maximum(self.w["channel_mix_key.weight"] @ mixed, 0) ** 2


class Model:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        key = lambda name: reader.fields[f"rwkv7.{name}"].contents()
        self.epsilon = key("attention.layer_norm_epsilon")
        weights = {
            tensor.name: np.asarray(gguf.dequantize(tensor.data, tensor.tensor_type), np.float64)
            for tensor in reader.tensors
        }
        self.w = weights
        self.layers = []
        for number in range(key("block_count")):
            prefix = f"blk.{number}."
            own = {name.removeprefix(prefix): array for name, array in weights.items() if name.startswith(prefix)}
            self.layers.append(Layer(own, key("embedding_length"), key("wkv.head_size")))

    def norm(self, x, name):
        return normalized(x, self.epsilon) * self.w[name + ".weight"] + self.w[name + ".bias"]

    def step(self, token):
        """The logits after one more token."""
        x, first = self.norm(self.w["token_embd.weight"][token], "token_embd_norm"), None
        for layer in self.layers:
            change, first = layer.time_mix(x, first, self.epsilon)
            x = x + change
            x = x + layer.channel_mix(x, self.epsilon)
        return self.w["output.weight"] @ self.norm(x, "output_norm")


def logits(path, tokens):
    """Logits [positions, vocabulary] in float64, from an empty state."""
    model = Model(path)
    return np.stack([model.step(token) for token in tokens])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--tokens", type=lambda text: [int(token) for token in text.split(",")])
    given.add_argument("--text", dest="tokens", type=lambda text: list(text.encode()))
    parser.add_argument("--out", required=True)
    parser.add_argument("--f64", action="store_true", help="write float64")
    options = parser.parse_args()
    np.save(options.out, logits(options.model, options.tokens).astype(np.float64 if options.f64 else np.float32))


if __name__ == "__main__":
    main()
