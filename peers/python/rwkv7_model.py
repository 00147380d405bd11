"""RWKV-7 in JAX, for training: parameters under their GGUF names, the forward pass over whole sequences.

A parameter has the shape of its GGUF tensor read by numpy: a matrix is (outputs, inputs). The recurrence of the
time mix runs in chunks. Over one chunk the state is S_t = Q_t diag(P_t), where P_t is the product of the decays
since the chunk began, and every step adds two outer products to Q:

    u_t = Q_{t-1} (P_{t-1} * alpha_t)          alpha = -kk
    Q_t = Q_{t-1} + u_t (beta_t / P_t)' + v_t (k_t / P_t)'          beta = kk * a

The u of a chunk therefore solve a unit triangular system, U = A U + B with A strictly lower triangular, whose
inverse is the finite product (I + A)(I + A^2)(I + A^4)... All the rest is matrix products. The decay is above
0.545, so P stays above 1e-9 over 32 steps and every product of a P and a 1/P is exact to float32 rounding.
"""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

VOCABULARY, EPSILON, GROUP_EPSILON, DECAY = 256, 1e-5, 64e-5, -0.606531


@dataclass(frozen=True)
class Config:
    """Sizes of a model: width, layers, head size and the low ranks of decay, learning rate, value mix and gate."""

    width: int = 256
    layers: int = 4
    head: int = 64
    decay_rank: int = 32
    rate_rank: int = 32
    value_rank: int = 32
    gate_rank: int = 32

    @property
    def inner(self):
        return 4 * self.width


def initialize(config, seed):
    """Random parameters at the start of training: a dictionary of float32 arrays.

    Blocks begin as the identity (their output matrices are zero), decays and shifts are spread over the channels.
    """
    rng = np.random.default_rng([seed, 0])
    width, layers = config.width, config.layers
    channel = np.arange(width) / width
    uniform = lambda rows, columns, scale: rng.uniform(-scale, scale, (rows, columns)) * columns**-0.5
    parameters = {
        "token_embd.weight": rng.normal(0, 0.3, (VOCABULARY, width)),
        "output.weight": uniform(VOCABULARY, width, 0.5),
    }
    norms = ["token_embd_norm", "output_norm"]
    for layer in range(layers):
        prefix, depth, rest = f"blk.{layer}.", layer / max(layers - 1, 1), 1 - layer / layers
        norms += [prefix + "attn_norm", prefix + "attn_norm_2", prefix + "time_mix_ln"]
        shifts = [0.2 * rest, 0.9 * rest, 0.7 * rest, 0.7 * rest, 0.9 * rest, 0.2 * rest]
        block = {
            "time_mix_lerp_fused": np.stack([1 - channel**power for power in shifts])[:, None, None, :],
            "time_mix_w0": -6.5 + 5 * channel ** (0.85 + depth**0.5),
            "time_mix_a0": np.zeros(width),
            "time_mix_k_k": np.full(width, 0.85),
            "time_mix_k_a": np.ones(width),
            "time_mix_r_k": np.full(width, 0.01),
            "time_mix_receptance": uniform(width, width, 0.8),
            "time_mix_key": uniform(width, width, 0.8),
            "time_mix_value": uniform(width, width, 0.8),
            "time_mix_output": np.zeros((width, width)),
            "channel_mix_lerp_k": 1 - channel ** (rest**4),
            "channel_mix_key": uniform(config.inner, width, 0.8),
            "channel_mix_value": np.zeros((width, config.inner)),
        }
        ranks = {"w": config.decay_rank, "a": config.rate_rank, "v": config.value_rank, "g": config.gate_rank}
        for name, rank in ranks.items():
            if name == "v" and layer == 0:
                continue
            block[f"time_mix_{name}1"] = uniform(rank, width, 0.3)
            block[f"time_mix_{name}2"] = uniform(width, rank, 1.0 if name == "g" else 0.1)
        if layer > 0:
            block["time_mix_v0"] = np.full(width, 0.7)
        parameters |= {f"{prefix}{name}.weight": array for name, array in block.items()}
    for name in norms:
        parameters |= {name + ".weight": np.ones(width), name + ".bias": np.zeros(width)}
    return {name: np.asarray(array, np.float32) for name, array in parameters.items()}


def recurrence_by_steps(r, w, k, v, alpha, beta):
    """The recurrence token by token, from its definition. All arguments are [batch, time, heads, head size]."""

    def step(state, now):
        r, w, k, v, alpha, beta = now
        removed = jnp.einsum("bhij,bhj->bhi", state, alpha)
        state = state * w[:, :, None] + v[..., None] * k[:, :, None] + removed[..., None] * beta[:, :, None]
        return state, jnp.einsum("bhij,bhj->bhi", state, r)

    batch, _, heads, size = r.shape
    steps = [x.swapaxes(0, 1) for x in (r, w, k, v, alpha, beta)]
    return jax.lax.scan(step, jnp.zeros((batch, heads, size, size)), steps)[1].swapaxes(0, 1)


def recurrence_by_chunks(r, log_w, k, v, alpha, beta, chunk=16):
    """The same recurrence in chunks, given the logarithm of the decays. The time is a multiple of the chunk."""
    batch, time, heads, size = r.shape
    split = lambda x: x.reshape(batch, time // chunk, chunk, heads, size).transpose(1, 0, 3, 2, 4)
    r, log_w, k, v, alpha, beta = map(split, (r, log_w, k, v, alpha, beta))
    log_p = jnp.cumsum(log_w, 3)
    p, inverse = jnp.exp(log_p), jnp.exp(-log_p)
    alpha, r, beta, k = alpha * jnp.exp(log_p - log_w), r * p, beta * inverse, k * inverse
    product = functools.partial(jnp.einsum, "cbhtn,cbhsn->cbhts")
    strict, lower = np.tri(chunk, k=-1, dtype=np.float32), np.tri(chunk, dtype=np.float32)
    a, mixed = product(alpha, beta) * strict, product(alpha, k) * strict
    from_u, from_v = product(r, beta) * lower, product(r, k) * lower
    inverse, power = jnp.eye(chunk) + a, a
    for _ in range((chunk - 1).bit_length() - 1):
        power = power @ power
        inverse = inverse + inverse @ power
    alpha, given = inverse @ alpha, inverse @ (mixed @ v)
    r, output = r + from_u @ alpha, from_u @ given + from_v @ v
    added = jnp.einsum("cbhtn,cbhtm->cbhnm", given, beta) + jnp.einsum("cbhtn,cbhtm->cbhnm", v, k)
    turn = jnp.einsum("cbhtn,cbhtm->cbhnm", alpha, beta)
    end = p[:, :, :, -1, None, :]

    def step(state, now):
        added, turn, end = now
        return (state + state @ turn + added) * end, state

    _, states = jax.lax.scan(step, jnp.zeros((batch, heads, size, size)), (added, turn, end))
    output = output + jnp.einsum("cbhtn,cbhmn->cbhtm", r, states)
    return output.transpose(1, 0, 3, 2, 4).reshape(batch, time, heads, size)


def normalize(x, weight, bias, epsilon=EPSILON):
    centered = x - x.mean(-1, keepdims=True)
    scaled = centered * jax.lax.rsqrt((centered**2).mean(-1, keepdims=True) + epsilon)
    return scaled if weight is None else scaled * weight + bias


def shifted(x):
    """The inputs one step earlier, zeros first."""
    return jnp.pad(x, ((0, 0), (1, 0), (0, 0)))[:, :-1]


def time_mix(p, x, first, head, chunk):
    """The time mix of a layer on its normed input; returns its output and the value of the first layer."""
    batch, time, width = x.shape
    heads = lambda y: y.reshape(batch, time, width // head, head)
    linear = lambda y, name: y @ p(name).T
    difference = shifted(x) - x
    xr, xw, xk, xv, xa, xg = (x + difference * mu for mu in p("time_mix_lerp_fused").reshape(6, width))
    r, k, v = linear(xr, "time_mix_receptance"), linear(xk, "time_mix_key"), linear(xv, "time_mix_value")
    low = linear(jnp.tanh(linear(xw, "time_mix_w1")), "time_mix_w2")
    log_w = DECAY * jax.nn.sigmoid(low + p("time_mix_w0"))
    if first is None:
        first = v
    else:
        mix = jax.nn.sigmoid(linear(linear(xv, "time_mix_v1"), "time_mix_v2") + p("time_mix_v0"))
        v = v + (first - v) * mix
    gate = linear(jax.nn.sigmoid(linear(xg, "time_mix_g1")), "time_mix_g2")
    rate = jax.nn.sigmoid(linear(linear(xa, "time_mix_a1"), "time_mix_a2") + p("time_mix_a0"))
    kk = heads(k * p("time_mix_k_k"))
    kk = kk * jax.lax.rsqrt(jnp.maximum((kk**2).sum(-1, keepdims=True), 1e-24))
    k = k * (1 + (rate - 1) * p("time_mix_k_a"))
    r, k, v = heads(r), heads(k), heads(v)
    if chunk:
        y = recurrence_by_chunks(r, heads(log_w), k, v, -kk, kk * heads(rate), chunk)
    else:
        y = recurrence_by_steps(r, jnp.exp(heads(log_w)), k, v, -kk, kk * heads(rate))
    y = normalize(y, None, None, GROUP_EPSILON).reshape(x.shape) * p("time_mix_ln") + p("time_mix_ln", "bias")
    bonus = (k * r * p("time_mix_r_k").reshape(-1, head)).sum(-1, keepdims=True) * v
    return linear((y + bonus.reshape(x.shape)) * gate, "time_mix_output"), first


def channel_mix(p, x):
    mixed = x + (shifted(x) - x) * p("channel_mix_lerp_k")
    return jax.nn.relu(mixed @ p("channel_mix_key").T) ** 2 @ p("channel_mix_value").T


def forward(parameters, tokens, config, chunk=16):
    """Logits [batch, time, vocabulary] of tokens [batch, time]; chunk 0 runs the recurrence by steps."""
    norm = lambda x, name: normalize(x, parameters[name + ".weight"], parameters[name + ".bias"])
    x = norm(parameters["token_embd.weight"][tokens], "token_embd_norm")
    first = None
    for layer in range(config.layers):
        p = lambda name, end="weight", layer=layer: parameters[f"blk.{layer}.{name}.{end}"]
        y, first = time_mix(p, norm(x, f"blk.{layer}.attn_norm"), first, config.head, chunk)
        x = x + y
        x = x + channel_mix(p, norm(x, f"blk.{layer}.attn_norm_2"))
    return norm(x, "output_norm") @ parameters["output.weight"].T
