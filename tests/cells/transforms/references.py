"""Elman, LSTM and GRU in NumPy with every place that a transform changes as a method: one example, gate by gate.

Written from the papers' equations, with kernels transposed as the papers have them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
LETTERS = {"Elman": "h", "LSTM": "ifgo", "GRU": "rzn"}


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


class Reference:
    """The cell itself; subclasses are the transforms."""

    def __init__(self, kind: str, params: Any, units: int) -> None:
        self.kind, self.params, self.units, self.letters = kind, params, units, LETTERS[kind]

    def part(self, stacked: Array, letter: str) -> Array:
        at = self.letters.index(letter) * self.units
        return stacked[..., at : at + self.units]

    def bias(self, letter: str) -> Array:
        return self.part(self.params.bias, letter)

    def from_inputs(self, x: Array) -> Array:
        """W x of all gates."""
        return self.params.kernel.T @ x

    def from_hidden(self, h: Array) -> Array:
        """U h of all gates."""
        return self.params.recurrent_kernel.T @ h

    def joined(self, letter: str, x: Array, h: Array) -> Array:
        """What stands where the cell adds W x and U h."""
        return x + h

    def candidate(self, value: Array) -> Array:
        return value

    def memory(self, value: Array) -> Array:
        return value

    def step(self, carry: dict[str, Array], x: Array) -> tuple[dict[str, Array], Array]:
        """The new carry and the output."""
        h = carry["hidden"]
        wx, uh = self.from_inputs(x), self.from_hidden(h)
        total = {}
        for letter in self.letters:
            if (self.kind, letter) != ("GRU", "n"):
                total[letter] = self.joined(letter, self.part(wx, letter), self.part(uh, letter)) + self.bias(letter)
        if self.kind == "Elman":
            h = np.tanh(total["h"])
            return {"hidden": h}, h
        if self.kind == "LSTM":
            i, f, o = (sigmoid(total[letter]) for letter in "ifo")
            c = self.memory(f * carry["cell"] + i * self.candidate(np.tanh(total["g"])))
            h = o * np.tanh(c)
            return {"hidden": h, "cell": c}, h
        r, z = sigmoid(total["r"]), sigmoid(total["z"])
        n = self.joined("n", self.part(wx, "n"), r * self.part(uh, "n")) + self.bias("n")
        h = (1 - z) * self.candidate(np.tanh(n + r * self.params.recurrent_bias)) + z * h
        return {"hidden": h}, h


class Diagonal(Reference):
    def from_hidden(self, h: Array) -> Array:
        return np.concatenate([np.diag(row) @ h for row in self.params.recurrent_kernel.weights])


class BlockDiagonal(Reference):
    def from_hidden(self, h: Array) -> Array:
        blocks = self.params.recurrent_kernel.blocks
        heads, size, gates, _ = blocks.shape
        result = []
        for gate in range(gates):
            matrix = np.zeros((heads * size, heads * size), blocks.dtype)
            for head in range(heads):
                at = slice(head * size, (head + 1) * size)
                matrix[at, at] = blocks[head, :, gate]
            result.append(matrix.T @ h)
        return np.concatenate(result)


class LowRank(Reference):
    def from_hidden(self, h: Array) -> Array:
        kernel = self.params.recurrent_kernel
        return (kernel.left @ kernel.right).T @ h


def standard(values: Array, epsilon: float = 1e-5) -> Array:
    return (values - np.mean(values)) / np.sqrt(np.var(values) + epsilon)


class LayerNormalization(Reference):
    def from_inputs(self, x: Array) -> Array:
        return self.params.kernel.scale * standard(self.params.kernel.kernel.T @ x)

    def from_hidden(self, h: Array) -> Array:
        return self.params.recurrent_kernel.scale * standard(self.params.recurrent_kernel.kernel.T @ h)


class LayerNormalizationPerGate(Reference):
    """Of the recurrent product alone."""

    def from_hidden(self, h: Array) -> Array:
        parts = np.split(self.params.recurrent_kernel.kernel.T @ h, len(self.letters))
        return self.params.recurrent_kernel.scale * np.concatenate([standard(part) for part in parts])


class LayerNormalizationOfSum(Reference):
    """Gate by gate, so that the place of the sum does not matter."""

    def from_inputs(self, x: Array) -> Array:
        return self.params.kernel.kernel.T @ x

    def from_hidden(self, h: Array) -> Array:
        return self.params.recurrent_kernel.kernel.T @ h

    def joined(self, letter: str, x: Array, h: Array) -> Array:
        return self.part(self.params.recurrent_kernel.weights["scale"], letter) * standard(x + h)


class WeightNormalization(Reference):
    @staticmethod
    def matrix(kernel: Any) -> Array:
        columns = [g * v / np.sqrt(v @ v) for g, v in zip(kernel.scale, kernel.direction.T)]
        return np.stack(columns)

    def from_inputs(self, x: Array) -> Array:
        return self.matrix(self.params.kernel) @ x

    def from_hidden(self, h: Array) -> Array:
        return self.matrix(self.params.recurrent_kernel) @ h


class MultiplicativeIntegration(Reference):
    def from_inputs(self, x: Array) -> Array:
        return self.params.kernel.kernel.T @ x

    def from_hidden(self, h: Array) -> Array:
        return self.params.recurrent_kernel.kernel.T @ h

    def joined(self, letter: str, x: Array, h: Array) -> Array:
        of_h = self.params.recurrent_kernel.weights
        alpha, beta1 = self.part(of_h["alpha"], letter), self.part(of_h["beta1"], letter)
        return alpha * x * h + beta1 * h + self.part(self.params.kernel.weights["beta2"], letter) * x


class WithNoise(Reference):
    """The noise is handed over from the carry."""

    noise: Any = None


class GalDropout(WithNoise):
    def from_hidden(self, h: Array) -> Array:
        return self.params.recurrent_kernel.T @ (self.noise[0] * h)


class SemeniutaDropout(WithNoise):
    def candidate(self, value: Array) -> Array:
        return self.noise[0] * value


class MoonDropout(WithNoise):
    def memory(self, value: Array) -> Array:
        return self.noise[0] * value


class InputDropout(WithNoise):
    def from_inputs(self, x: Array) -> Array:
        return self.params.kernel.T @ (self.noise * x)


class CellClip(Reference):
    def memory(self, value: Array) -> Array:
        return np.minimum(np.maximum(value, -0.3), 0.3)


class Zoneout(WithNoise):
    """``draws(t)`` gives the uniform numbers of step t: first of the hidden state, then of the cell state."""

    draws: Callable[[int], Array]
    rates = (("hidden", 0.3), ("cell", 0.6))
    time = 0

    def step(self, carry: dict[str, Array], x: Array) -> tuple[dict[str, Array], Array]:
        new, _ = super().step(carry, x)
        draws = self.draws(self.time)
        self.time += 1
        for index, (name, rate) in enumerate(self.rates[: len(carry)]):
            d = (draws[index * self.units : (index + 1) * self.units] < rate).astype(float)
            new[name] = d * carry[name] + (1 - d) * new[name]
        return new, new["hidden"]


class ZoneoutInEvaluation(Reference):
    def step(self, carry: dict[str, Array], x: Array) -> tuple[dict[str, Array], Array]:
        new, _ = super().step(carry, x)
        for name, rate in Zoneout.rates[: len(carry)]:
            new[name] = rate * carry[name] + (1 - rate) * new[name]
        return new, new["hidden"]


class Residual(Reference):
    def step(self, carry: dict[str, Array], x: Array) -> tuple[dict[str, Array], Array]:
        new, output = super().step(carry, x)
        return new, output + x


class Skip(Reference):
    def step(self, carry: dict[str, Array], x: Array) -> tuple[dict[str, Array], Array]:
        new, output = super().step(carry, x)
        return new, np.concatenate([output, x])
