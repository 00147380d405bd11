"""Trains a small byte-level RWKV-7 on the CPU and writes it as GGUF. A token is a byte.

    rwkv7_train.py train --out PREFIX        PREFIX-f32.gguf, PREFIX-f16.gguf, PREFIX.npz; again at every checkpoint
    rwkv7_train.py tasks --out tasks.json    held-out prompts with their answers
    rwkv7_train.py score --from PREFIX.npz   accuracy on 1000 held-out prompts
    rwkv7_train.py export --from PREFIX.npz --out PREFIX        the two GGUF files of a checkpoint
    rwkv7_train.py untrained --out PREFIX    two layers of random weights, to try readers on
    rwkv7_train.py check                     gradients in chunks against steps, logits against the oracle

The batches and the first weights follow from --seed. `train --from PREFIX.npz` continues from a checkpoint.
"""

import argparse
import dataclasses
import json
import os
import random
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
import rwkv7_export
import rwkv7_model
import rwkv7_oracle
import rwkv7_text

NAME = "Assay RWKV-7 small"
LENGTH = 64
WEIGHT_OF_TEXT = 0.1  # in the loss, where an answer's byte has 1
CLIP, DECAY, BETA1, BETA2 = 1.0, 0.1, 0.9, 0.98
ALL_PAIRS_AT = 0.4  # the share of the training from which lines have up to all pairs
CASES = {"recall": 90, "copy": 70, "sum": 40}


def batch_of(seed, step, size, progress):
    """Tokens [size, LENGTH + 1] and the weights of the loss [size, LENGTH] of a step."""
    rng = random.Random(f"batch {seed} {step}")
    most_pairs = 2 + round(min(progress / ALL_PAIRS_AT, 1) * (rwkv7_text.MOST_PAIRS - 2))
    pairs = [rwkv7_text.sequence(rng, LENGTH + 1, most_pairs) for _ in range(size)]
    tokens = np.array([list(text) for text, _ in pairs], np.int32)
    weights = np.array([answer[1:] for _, answer in pairs], np.float32)
    return tokens, np.maximum(weights, WEIGHT_OF_TEXT)


def loss_of(parameters, tokens, weights, config):
    logits = rwkv7_model.forward(parameters, tokens[:, :-1], config)
    losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[:, 1:, None], -1)[..., 0]
    return (losses * weights).sum() / weights.sum()


def adamw(parameters, gradients, moments, rate, step):
    """One step of AdamW with the gradient clipped by its norm; only matrices decay."""
    norm = jnp.sqrt(sum((g**2).sum() for g in gradients.values()))
    scale = jnp.minimum(1, CLIP / (norm + 1e-6))
    after, first, second = {}, {}, {}
    for name, p in parameters.items():
        g = gradients[name] * scale
        first[name] = BETA1 * moments[0][name] + (1 - BETA1) * g
        second[name] = BETA2 * moments[1][name] + (1 - BETA2) * g**2
        change = (first[name] / (1 - BETA1**step)) / (jnp.sqrt(second[name] / (1 - BETA2**step)) + 1e-9)
        decay = DECAY if p.ndim == 2 else 0
        after[name] = p - rate * (change + decay * p)
    return after, (first, second), norm


def rate_at(step, steps, peak):
    """The learning rate: linear warm-up over 100 steps, then a cosine down to a fiftieth."""
    share = min(step / steps, 1)
    return peak * min(step / 100, 0.02 + 0.49 * (1 + np.cos(np.pi * share)))


def accuracy(answers, cases):
    """The share of right answers per task: greedy decoding gives the answer exactly if every byte of it is first."""
    right = {}
    for case in cases:
        text = (case["prompt"] + case["answer"]).encode()
        tokens = np.zeros((1, LENGTH), np.int32)
        tokens[0, : len(text)] = list(text)
        case["tokens"], case["begin"], case["end"] = tokens, len(case["prompt"]), len(text)
    for at in range(0, len(cases), 50):
        group = cases[at : at + 50]
        best = np.asarray(answers(np.concatenate([case["tokens"] for case in group])))
        for case, row in zip(group, best):
            begin, end = case.pop("begin"), case.pop("end")
            ok = np.array_equal(row[begin - 1 : end - 1], case.pop("tokens")[0, begin:end])
            right.setdefault(case["task"], []).append(ok)
    return {task: float(np.mean(oks)) for task, oks in right.items()}


def answers_of(config):
    forward = jax.jit(lambda parameters, tokens: rwkv7_model.forward(parameters, tokens, config).argmax(-1))
    return lambda parameters: lambda tokens: forward(parameters, tokens)


def save(path, parameters, moments, config, step):
    arrays = {f"p {name}": array for name, array in parameters.items()}
    for number, moment in enumerate(moments):
        arrays |= {f"{number} {name}": array for name, array in moment.items()}
    with open(f"{path}.partial", "wb") as file:
        np.savez(file, step=step, config=json.dumps(dataclasses.asdict(config)), **arrays)
    os.replace(f"{path}.partial", path)


def restore(path):
    with np.load(path) as file:
        config = rwkv7_model.Config(**json.loads(str(file["config"])))
        named = lambda mark: {key[2:]: file[key] for key in file.files if key.startswith(mark)}
        return named("p "), (named("0 "), named("1 ")), config, int(file["step"])


def train(options):
    config = rwkv7_model.Config()
    parameters, begin = rwkv7_model.initialize(config, options.seed), 0
    moments = tuple({name: np.zeros_like(p) for name, p in parameters.items()} for _ in range(2))
    if options.source:
        parameters, moments, config, begin = restore(options.source)

    def update(parameters, moments, tokens, weights, rate, step):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, tokens, weights, config)
        return *adamw(parameters, gradients, moments, rate, step), loss

    update = jax.jit(update, donate_argnums=(0, 1))
    answers = answers_of(config)
    started = saved = time.monotonic()
    losses = []
    for step in range(begin + 1, options.steps + 1):
        tokens, weights = batch_of(options.seed, step, options.batch, step / options.steps)
        rate = np.float32(rate_at(step, options.steps, options.rate))
        parameters, moments, norm, loss = update(parameters, moments, tokens, weights, rate, np.float32(step))
        losses.append(float(loss))
        now = time.monotonic()
        if step % 50 == 0:
            left = (now - started) / (step - begin) * (options.steps - step) / 60
            mean = np.mean(losses[-50:])
            print(f"step {step} loss {mean:.3f} norm {norm:.2f} rate {rate:.5f}, {left:.1f} min left", flush=True)
        if now - saved > options.every * 60 or step == options.steps:
            saved = now
            save(f"{options.out}.npz", parameters, moments, config, step)
            rwkv7_export.write_pair(options.out, parameters, config, NAME)
            print(f"step {step} saved,", told(accuracy(answers(parameters), rwkv7_text.prompts(1, CASES))), flush=True)


def told(accuracies):
    return ", ".join(f"{task} {share:.1%}" for task, share in accuracies.items())


def export(options):
    parameters, _, config, _ = restore(options.source)
    rwkv7_export.write_pair(options.out, parameters, config, NAME)


def score(options):
    parameters, _, config, step = restore(options.source)
    answers = answers_of(config)(parameters)
    cases = rwkv7_text.prompts(2, {"recall": 500, "copy": 450, "sum": 50})
    print(f"step {step}:", told(accuracy(answers, cases)))
    recalls = [case for case in cases if case["task"] == "recall"]
    for case in recalls:
        case["task"] = f"recall of {case['prompt'].split(';')[0].count('=')} pairs"
    print(told(dict(sorted(accuracy(answers, recalls).items()))))


def tasks(options):
    cases = rwkv7_text.prompts(options.seed, CASES)
    lines = ",\n".join(json.dumps(case) for case in cases)
    with open(options.out, "w", encoding="utf-8") as file:
        file.write(f"[\n{lines}\n]\n")


def away_from_start(config, seed):
    """Random weights with every tensor away from zero and one, so that none can be left out unnoticed."""
    rng = np.random.default_rng([seed, 1])
    parameters = rwkv7_model.initialize(config, seed)
    for array in parameters.values():
        scale = 0.6 * array.shape[-1] ** -0.5 if array.ndim == 2 else 0.1
        array += rng.normal(0, scale, array.shape).astype(np.float32)
    return parameters


def untrained(options):
    config = rwkv7_model.Config(layers=2)
    parameters = away_from_start(config, options.seed)
    rwkv7_export.write_pair(options.out, parameters, config, "Assay RWKV-7 untrained")


def check(options):
    """Compares gradients in chunks and by steps, then logits with the oracle's on the exported file."""
    config = rwkv7_model.Config(layers=2)
    rng = np.random.default_rng([options.seed, 2])
    parameters = away_from_start(config, options.seed)
    tokens = rng.integers(0, 256, (2, 33))

    def loss(parameters, chunk):
        logits = rwkv7_model.forward(parameters, tokens[:, :-1], config, chunk)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[:, 1:, None], -1).mean()

    difference = lambda got, expected: float(np.linalg.norm(got - expected) / np.linalg.norm(expected))
    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    expected, got = gradient(parameters, 0), gradient(parameters, 16)
    gradients = max(difference(got[name], expected[name]) for name in expected)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.gguf")
        rwkv7_export.write(path, parameters, config, False, "check")
        expected = rwkv7_oracle.logits(path, tokens[0, :32])
    logits = difference(rwkv7_model.forward(parameters, tokens[:1, :32], config)[0], expected)
    print(f"relative differences: gradients {gradients:.1e}, logits {logits:.1e}")
    raise SystemExit(0 if gradients < 1e-4 and logits < 1e-4 else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {f.__name__: f for f in (train, tasks, export, score, untrained, check)}
    parser.add_argument("command", choices=commands)
    parser.add_argument("--out", help="what to write")
    parser.add_argument("--from", dest="source", help="a checkpoint")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=16, help="sequences in a step")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="the highest learning rate")
    parser.add_argument("--every", type=float, default=3, help="minutes between checkpoints")
    options = parser.parse_args()
    commands[options.command](options)


if __name__ == "__main__":
    main()
