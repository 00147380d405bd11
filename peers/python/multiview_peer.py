"""PyTorch as a peer of the aggregator: eager, `scaled_dot_product_attention`, on the CPU, with the same weights. In float32, or with
`--float64` as the oracle.

The case parameter `keep` chooses what is kept: `all` keeps 24 outputs and projects what the depth head reads afterwards, as VGGT does;
`projected` projects each captured output at once and drops the rest.
"""

import sys

import multiview_oracle
import peer
import torch


class Implementation:
    def __init__(self, threads, dtype):
        torch.set_num_threads(threads)
        self.dtype = dtype

    def describe(self):
        settings = f"{self.dtype}, eager, scaled_dot_product_attention, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
        return {"name": "torch", "version": torch.__version__, "settings": settings}

    def load(self, case, params, inputs):
        weights, config, images = multiview_oracle.read(inputs)
        model = multiview_oracle.Model(weights, config, self.dtype)
        captured, kept = config["captured"], [None]

        def run():
            kept[0] = None
            if params["keep"] == "all":
                outputs = list(model.outputs(images))
                kept[0] = [model.head_input(index, outputs[layer]) for index, layer in enumerate(captured)]
            else:
                outputs = enumerate(model.outputs(images))
                kept[0] = [model.head_input(captured.index(layer), output) for layer, output in outputs if layer in captured]

        return {
            "ran": f"eager, {params['keep']}",
            "run": run,
            "output": lambda: b"".join(part.contiguous().numpy().astype("<f4").tobytes() for part in kept[0]),
        }


if __name__ == "__main__":
    dtype = torch.float64 if "--float64" in sys.argv else torch.float32
    peer.serve(Implementation(peer.threads_argument(), dtype))
