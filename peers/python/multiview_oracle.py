"""The VGGT-like aggregator of `crates/multiview` in PyTorch, written from its definition.

As a program it is the oracle: it computes a model's outputs in float64 and compares them with ours.

    cargo run --release -p multiview --example export -- DIR    writes weights, images and our results
    python multiview_oracle.py DIR                              compares; exits with 1 beyond the tolerance
"""

import json
import pathlib
import sys

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F

PATCH, REGISTERS, EPSILON, ROPE_BASE = 14, 4, 1e-5, 100.0
SPECIAL = 1 + REGISTERS
TOLERANCE = 1e-4


class Model:
    """Weights by name, as VGGT names them, and the dimensions that the names do not tell."""

    def __init__(self, weights, config, dtype):
        self.weights = {name: tensor.to(dtype) for name, tensor in weights.items()}
        self.config, self.dtype = config, dtype

    def linear(self, name, x):
        weight = self.weights[name + ".weight"]
        return F.linear(x, weight.flatten(1), self.weights[name + ".bias"])

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.weights[name + ".weight"], self.weights[name + ".bias"], EPSILON)

    def tokens(self, images):
        """Images (frames, 3, height, width) to tokens (frames, tokens, channels)."""
        mean, deviation = (torch.tensor(x, dtype=self.dtype).view(1, 3, 1, 1) for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        name = "aggregator.patch_embed.proj"
        x = F.conv2d((images.to(self.dtype) - mean) / deviation, self.weights[name + ".weight"], self.weights[name + ".bias"], stride=PATCH)
        x = x.flatten(2).transpose(1, 2)
        special = torch.cat([self.weights["aggregator.camera_token"], self.weights["aggregator.register_token"]], dim=2)[0]
        variant = [0] + [1] * (len(x) - 1)
        return torch.cat([special[variant], x], dim=1)

    def angles(self, images):
        """Cosines and sines (tokens, head channels) of the positions of a frame's tokens."""
        rows, cols = images.shape[2] // PATCH, images.shape[3] // PATCH
        y, x = torch.meshgrid(torch.arange(rows) + 1, torch.arange(cols) + 1, indexing="ij")
        positions = torch.cat([torch.zeros(SPECIAL, 2, dtype=torch.long), torch.stack([y, x], -1).view(-1, 2)])
        half = self.config["embed_dim"] // self.config["heads"] // 2
        frequencies = ROPE_BASE ** -(torch.arange(0, half, 2, dtype=torch.float64) / half)
        angles = positions.double()[:, :, None] * frequencies
        angles = torch.cat([angles, angles], dim=-1).flatten(1)
        return angles.cos().to(self.dtype), angles.sin().to(self.dtype)

    def rotate(self, x, angles):
        """Each half of the channels turns its own halves against each other."""
        cos, sin = angles
        first, second = x.unflatten(-1, (2, 2, -1)).unbind(-2)
        return x * cos + torch.stack([-second, first], dim=-2).flatten(-3) * sin

    def block(self, name, x, angles):
        """One block on (sequences, tokens, channels)."""
        q, k, v = self.linear(f"{name}.attn.qkv", self.norm(f"{name}.norm1", x)).unflatten(-1, (3, self.config["heads"], -1)).unbind(2)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        q = self.rotate(self.norm(f"{name}.attn.q_norm", q), angles)
        k = self.rotate(self.norm(f"{name}.attn.k_norm", k), angles)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.weights[f"{name}.ls1.gamma"] * self.linear(f"{name}.attn.proj", attended)
        hidden = F.gelu(self.linear(f"{name}.mlp.fc1", self.norm(f"{name}.norm2", x)))
        return x + self.weights[f"{name}.ls2.gamma"] * self.linear(f"{name}.mlp.fc2", hidden)

    @torch.inference_mode()
    def outputs(self, images):
        """The output of each layer in turn, (frames, tokens, 2 channels), for one sequence."""
        x, of_frame = self.tokens(images), self.angles(images)
        of_sequence = tuple(part.repeat(len(x), 1) for part in of_frame)
        for layer in range(self.config["depth"]):
            x = self.block(f"aggregator.frame_blocks.{layer}", x, of_frame)
            together = self.block(f"aggregator.global_blocks.{layer}", x.flatten(0, 1)[None], of_sequence).view(x.shape)
            yield torch.cat([x, together], dim=-1)
            x = together

    @torch.inference_mode()
    def head_input(self, index, output):
        """What the depth head makes of its captured layer `index` first: (frames, patches, its channels)."""
        return self.linear(f"depth_head.projects.{index}", self.norm("depth_head.norm", output[:, SPECIAL:]))


def read(directory):
    """Weights, configuration and images of a directory that our program wrote."""
    directory = pathlib.Path(directory)
    config = json.loads((directory / "config.json").read_text())
    images = np.fromfile(directory / "images", "<f4").reshape(-1, 3, config["height"], config["width"])
    return safetensors.torch.load_file(directory / "weights.safetensors"), config, torch.from_numpy(images)


def compare(directory):
    """The largest relative error over all outputs, projections and camera tokens that our program wrote."""
    weights, config, images = read(directory)
    model = Model(weights, config, torch.float64)
    worst = 0.0

    def check(name, expected):
        nonlocal worst
        got = torch.from_numpy(np.fromfile(pathlib.Path(directory) / name, "<f4")).double()
        error = float((got - expected.flatten()).norm() / expected.norm())
        print(f"{name}: {error:.2e}")
        # A NaN stays the worst.
        worst = error if not error <= worst else worst

    for layer, output in enumerate(model.outputs(images)):
        check(f"output-{layer}", output)
        if layer in config["captured"]:
            index = config["captured"].index(layer)
            check(f"projected-{index}", model.head_input(index, output))
    check("camera", output[:, 0])
    return worst


if __name__ == "__main__":
    error = compare(sys.argv[1])
    print(f"worst relative error {error:.2e}, tolerance {TOLERANCE:.0e}")
    sys.exit(0 if error <= TOLERANCE else 1)
