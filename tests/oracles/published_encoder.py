"""The published encoder, one adapter and one matrix at a time, in float64 and plain loops."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from loraleak.types import Factors

__all__ = ["Published", "matrix_layers", "published"]

Array = np.ndarray
_EPSILON = 1e-5


@dataclass(frozen=True)
class Published:
    """What the network makes of one adapter, step by step."""

    layers: list[list[Float[Array, "_channels _length"]]]
    """Of each matrix, the output of every convolution."""
    tokens: Float[Array, "_tokens dim"]
    states: Float[Array, "_tokens dim"]
    mean: Float[Array, "_prompt dim"]
    log_variance: Float[Array, "_prompt dim"]


def published(
    factors: Mapping[str, Factors],
    step: int,
    networks: list[dict[str, Array]],
    rest: Mapping[str, Array],
    *,
    tokens: int,
    heads: int,
) -> Published:
    """`networks` are the weights for each matrix, A then B of each module; `rest` those of tokens, norm, trunk and heads."""
    matrices = [np.asarray(m, np.float64) for f in factors.values() for m in (f.down, f.up)]
    matrices = [m.T if m.shape[0] > m.shape[1] else m for m in matrices]
    layers = [matrix_layers(m, net) for m, net in zip(matrices, networks, strict=True)]
    made = [net["projection"].T @ np.tanh(outs[-1][0]) + net["bias"] for outs, net in zip(layers, networks, strict=True)]
    sequence = np.stack([rest["task"], _step_token(step, rest), *made])
    states = _trunk(_norm(sequence, rest["norm.weight"], rest["norm.bias"]), rest, heads)
    first = states[:tokens]
    return Published(
        layers,
        sequence,
        states,
        first @ rest["mean.weight"].T + rest["mean.bias"],
        first @ rest["log_variance.weight"].T + rest["log_variance.bias"],
    )


def matrix_layers(matrix: Array, network: Mapping[str, Array]) -> list[Array]:
    """Outputs of the convolutions: block by block `[leaky, not in the first] norm, convolution, leaky, norm, convolution`."""
    outputs, states = [], matrix
    for layer, (weight, bias) in enumerate(zip(network["weights"], network["biases"], strict=True)):
        if layer > 0:
            states = np.where(states > 0, states, 0.01 * states)
        rows = []
        for row in states:
            rows.append((row - row.mean()) / np.sqrt(((row - row.mean()) ** 2).mean() + _EPSILON))
        states = _convolved(np.stack(rows), weight, bias)
        outputs.append(states)
    return outputs


def _convolved(states: Array, weight: Array, bias: Array) -> Array:
    """A convolution over the length, one number at a time; outside the matrix there are zeros."""
    channels, length = states.shape
    out = np.zeros((len(weight), length))
    for o in range(len(weight)):
        for x in range(length):
            out[o, x] = bias[o]
            for c in range(channels):
                for k in range(3):
                    if 0 <= x + k - 1 < length:
                        out[o, x] += weight[o, c, k] * states[c, x + k - 1]
    return out


def _step_token(step: int, rest: Mapping[str, Array]) -> Array:
    half = len(rest["task"]) // 2
    angles = step * np.exp(-np.log(10_000) * np.arange(half) / half)
    hidden = rest["step.1.weight"] @ np.concatenate([np.cos(angles), np.sin(angles)]) + rest["step.1.bias"]
    return rest["step.2.weight"] @ (hidden / (1 + np.exp(-hidden))) + rest["step.2.bias"]


def _trunk(states: Array, rest: Mapping[str, Array], heads: int) -> Array:
    """CLIP's text transformer without a mask, then its final norm."""
    layers = 1 + max(int(name.split(".")[2]) for name in rest if name.startswith("encoder.layers."))
    for k in range(layers):
        w = {name.removeprefix(f"encoder.layers.{k}."): value for name, value in rest.items()}
        normed = _norm(states, w["layer_norm1.weight"], w["layer_norm1.bias"])
        q, key, value = (normed @ w[f"self_attn.{n}_proj.weight"].T + w[f"self_attn.{n}_proj.bias"] for n in "qkv")
        size = q.shape[1] // heads
        parts = []
        for h in range(heads):
            mine = slice(h * size, (h + 1) * size)
            scores = q[:, mine] @ key[:, mine].T / np.sqrt(size)
            shares = np.exp(scores - scores.max(1, keepdims=True))
            parts.append(shares / shares.sum(1, keepdims=True) @ value[:, mine])
        states = states + np.concatenate(parts, 1) @ w["self_attn.out_proj.weight"].T + w["self_attn.out_proj.bias"]
        hidden = _norm(states, w["layer_norm2.weight"], w["layer_norm2.bias"]) @ w["mlp.fc1.weight"].T + w["mlp.fc1.bias"]
        states = states + hidden / (1 + np.exp(-1.702 * hidden)) @ w["mlp.fc2.weight"].T + w["mlp.fc2.bias"]
    return _norm(states, rest["final_layer_norm.weight"], rest["final_layer_norm.bias"])


def _norm(rows: Array, weight: Array, bias: Array) -> Array:
    centred = rows - rows.mean(1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(1, keepdims=True) + _EPSILON) * weight + bias
