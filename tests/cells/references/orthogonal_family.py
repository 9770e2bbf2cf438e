"""Recurrences whose kernel is unitary or orthogonal: matrices are built whole, by inverses and eigenvalues."""

from typing import Any

import numpy as np

from tests.cells.references.tools import Array, Step

Pair = tuple[tuple[Array, ...], Array]


def modrelu(z: complex, b: float) -> complex:
    """σ(z) = (|z| + b) z / |z| if |z| + b >= 0, else 0."""
    return (abs(z) + b) * z / abs(z) if abs(z) + b >= 0 else 0.0


def skew(entries: Array, size: int) -> Array:
    """A with A[i, j] = -A[j, i], filled row by row."""
    a, following = np.zeros((size, size)), iter(entries)
    for i in range(size):
        for j in range(i + 1, size):
            a[i, j] = next(following)
            a[j, i] = -a[i, j]
    return a


def exponential(a: Array) -> Array:
    """exp(A) of a skew-symmetric A = -i H: the eigenvalues of H, which is Hermitian, become angles."""
    angles, vectors = np.linalg.eigh(1j * a)
    return (vectors @ np.diag(np.exp(-1j * angles)) @ vectors.conj().T).real


def _complex_step(w: Array, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """h_t = σ(W h_{t-1} + V x_t), complex."""
    n = len(w)
    np.testing.assert_allclose(w @ w.conj().T, np.eye(n), atol=1e-12)
    v = p.kernel[:, :n].T + 1j * p.kernel[:, n:].T
    z = w @ (carry[0] + 1j * carry[1]) + v @ x
    h = np.array([modrelu(z[k], p.bias[k]) for k in range(n)])
    return (h.real, h.imag), np.concatenate([h.real, h.imag])


def unitary(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """Arjovsky et al. 2016: W = D₃ R₂ F⁻¹ D₂ Π R₁ F D₁, every factor a matrix."""
    n = cell.hidden_size
    d1, d2, d3 = (np.diag(np.cos(theta) + 1j * np.sin(theta)) for theta in p.phases)
    r1, r2 = (np.eye(n) - 2 * np.outer(v, v.conj()) / np.vdot(v, v) for v in (re + 1j * im for re, im in p.reflections))
    fourier = np.array([[np.exp(-2j * np.pi * j * k / n) for k in range(n)] for j in range(n)]) / np.sqrt(n)
    shuffle = np.eye(n)[np.random.default_rng(cell.permutation_seed).permutation(n)]
    return _complex_step(d3 @ r2 @ fourier.conj().T @ d2 @ shuffle @ r1 @ fourier @ d1, p, carry, x)


def efficient_unitary(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """Jing et al. 2017: W = D F_A F_B F_A ..., F_A and F_B block-diagonal in rotations of neighbours."""
    n = cell.hidden_size
    w, rotation = np.diag(np.exp(1j * p.diagonal)), 0
    for layer in range(cell.capacity):
        f = np.eye(n, dtype=complex)
        for i in range(layer % 2, n - 1, 2):
            theta, phi = p.angles[rotation], p.phases[rotation]
            phase = np.exp(1j * phi)
            f[i : i + 2, i : i + 2] = [
                [phase * np.cos(theta), -phase * np.sin(theta)],
                [np.sin(theta), np.cos(theta)],
            ]
            rotation += 1
        w = w @ f
    assert rotation == len(p.angles) == len(p.phases)
    return _complex_step(w, p, carry, x)


def _turned(w: Array, p: Any, h: Array, x: Array) -> Pair:
    """h_t = σ(U x_t + W h_{t-1}) with modReLU."""
    z = p.kernel.T @ x + w @ h
    h = np.array([modrelu(z[k], p.bias[k]) for k in range(len(z))])
    return (h,), h


def scaled_cayley(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """Helfrich et al. 2018: W = (I + A)⁻¹ (I - A) D."""
    n = cell.hidden_size
    negative = n // 2 if cell.negative_ones is None else cell.negative_ones
    a, d = skew(p.skew, n), np.diag([1.0] * (n - negative) + [-1.0] * negative)
    return _turned(np.linalg.inv(np.eye(n) + a) @ (np.eye(n) - a) @ d, p, carry[0], x)


def exponential_map(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """Lezcano-Casado and Martínez-Rubio 2019: W = exp(A)."""
    return _turned(exponential(skew(p.skew, cell.hidden_size)), p, carry[0], x)


def non_normal(cell: Any, p: Any, carry: tuple[Array, ...], x: Array) -> Pair:
    """Kerg et al. 2019: V = P Θ Pᵀ, Θ of blocks γ R(θ) and a triangle; the state is a row, h V."""
    n = cell.hidden_size
    theta = np.zeros((n, n))
    for block in range((n + 1) // 2):
        i, gain = 2 * block, p.gains[block]
        if i + 1 == n:
            theta[i, i] = gain
            continue
        cos, sin = np.cos(p.angles[block]), np.sin(p.angles[block])
        theta[i : i + 2, i : i + 2] = gain * np.array([[cos, -sin], [sin, cos]])
        theta[i : i + 2, i + 2 :] = p.triangle[i : i + 2, i + 2 :]
    basis = exponential(skew(p.skew, n))
    return _turned((basis @ theta @ basis.T).T, p, carry[0], x)


REFERENCES: dict[str, Step] = {
    "EURNN": efficient_unitary,
    "ExpRNN": exponential_map,
    "NNRNN": non_normal,
    "ScoRNN": scaled_cayley,
    "UnitaryRNN": unitary,
}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "EURNN-capacity": ("EURNN", {"capacity": 5}),
    "ScoRNN-one-negative": ("ScoRNN", {"negative_ones": 1}),
    "UnitaryRNN-seed": ("UnitaryRNN", {"permutation_seed": 3}),
}
