"""Parameter initialisers by name, and the one helper that stacked gate kernels need.

One with a parameter is a frozen dataclass, ``SpectralRadius(0.9)``, or the same as text, ``"spectral_radius(0.9)"``,
which a configuration file can hold. Both can be pickled, compared and hashed, and print as code.
"""

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers
from jax.typing import DTypeLike

from seqjax.cells.activations import unknown_name

Initializer = str | Callable[..., jax.Array]


def identity(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
    """The identity matrix (Le, Jaitly, Hinton 2015: an Elman network of rectifiers that starts as a memory)."""
    del key
    return jnp.eye(*shape, dtype=dtype)


def np_rnn(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
    r"""A normalised positive definite matrix (Talathi and Vartak 2015).

    .. math:: U = (A + I) / \lambda_{max}(A + I), \quad A = R^\top R / N, \quad R_{ij} \sim N(0, 1)

    One eigenvalue is 1 and the others are positive and smaller: along one direction the state neither grows nor decays.
    """
    rows, columns = shape
    if rows != columns:
        raise ValueError(
            f"the initialiser 'np_rnn' draws square matrices, got the shape {shape}; use it on a kernel "
            "[hidden_size, hidden_size]"
        )
    factor = jax.random.normal(key, shape, dtype)
    positive = jnp.matmul(factor.T, factor, precision="highest") / rows + jnp.eye(rows, dtype=dtype)
    return positive / jnp.linalg.eigvalsh(positive)[-1]


def np_rnn_input(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
    r"""The input kernel that goes with :func:`np_rnn` (Talathi and Vartak 2015).

    .. math:: W_{ij} \sim N(0, \alpha^2 / N), \quad \alpha = \sqrt{2} \exp(1.2 / (\max(N, 6) - 2.4))

    where :math:`N` is the number of hidden units.
    """
    hidden_size = shape[-1]
    gain = 2**0.5 * jnp.exp(1.2 / (max(hidden_size, 6) - 2.4))
    return (gain / hidden_size**0.5).astype(dtype) * jax.random.normal(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class Normal:
    """Independent entries from a normal distribution around zero, whatever the shape."""

    deviation: float

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
        """Draw."""
        return self.deviation * jax.random.normal(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class Uniform:
    """Independent entries, uniform between ``low`` and ``high``, whatever the shape."""

    low: float
    high: float

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
        """Draw."""
        return jax.random.uniform(key, shape, dtype, self.low, self.high)


@dataclasses.dataclass(frozen=True)
class ScaledIdentity:
    """``scale`` times the identity (Le, Jaitly, Hinton 2015 use 0.01 where less has to be remembered)."""

    scale: float

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
        """Draw."""
        return self.scale * identity(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class SpectralRadius:
    """A random matrix scaled so that its largest eigenvalue has this modulus (Jaeger 2001).

    Each unit reads from the same number of others, ``connectivity`` times all of them and one at least. So the graph
    has a cycle, and the matrix before scaling an eigenvalue that is not zero.

    Attributes:
        radius: the spectral radius of the matrix that is drawn.
        connectivity: which part of each column is not zero.
        initializer: what the entries are drawn from before that.
    """

    radius: float
    connectivity: float = 1.0
    initializer: Initializer = "normal(1.0)"

    def __post_init__(self) -> None:
        if self.radius < 0:
            raise ValueError(f"SpectralRadius.radius must not be negative, got {self.radius!r}")
        if not 0 < self.connectivity <= 1:
            raise ValueError(f"SpectralRadius.connectivity must be above 0 and at most 1, got {self.connectivity!r}")

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> jax.Array:
        """Draw."""
        rows, columns = shape
        if rows != columns:
            raise ValueError(
                f"SpectralRadius draws square matrices, got the shape {shape}; use it on a kernel "
                "[hidden_size, hidden_size]"
            )
        value_key, graph_key = jax.random.split(key)
        matrix = initializer_function(self.initializer)(value_key, shape, dtype)
        if self.connectivity < 1:
            order = jnp.argsort(jnp.argsort(jax.random.uniform(graph_key, shape), axis=0), axis=0)
            matrix = jnp.where(order < max(1, round(self.connectivity * rows)), matrix, 0)
        return self.radius / spectral_radius(matrix) * matrix


def spectral_radius(matrix: jax.Array, squarings: int = 30) -> jax.Array:
    r"""The largest modulus of the eigenvalues, by Gelfand's formula.

    .. math:: \rho(A) = \lim_{k \to \infty} \lVert A^k \rVert^{1/k}, \quad k = 2^{\text{squarings}}

    Products alone, so it runs wherever JAX does; the eigenvalues of a matrix that is not symmetric are found on few
    devices.
    """

    def square(power: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        norm = jnp.linalg.norm(power)
        power = power / jnp.where(norm > 0, norm, 1)
        return jnp.matmul(power, power, precision="highest"), jnp.log(norm)

    _, logarithms = jax.lax.scan(square, matrix, length=squarings + 1)
    return jnp.exp(logarithms @ 0.5 ** jnp.arange(squarings + 1, dtype=matrix.dtype))


INITIALIZERS: dict[str, Callable[..., jax.Array]] = {
    "glorot_uniform": initializers.glorot_uniform(),
    "glorot_normal": initializers.glorot_normal(),
    "lecun_uniform": initializers.lecun_uniform(),
    "lecun_normal": initializers.lecun_normal(),
    "he_uniform": initializers.he_uniform(),
    "he_normal": initializers.he_normal(),
    "orthogonal": initializers.orthogonal(),
    "identity": identity,
    "np_rnn": np_rnn,
    "np_rnn_input": np_rnn_input,
    "zeros": initializers.zeros,
    "ones": initializers.ones,
}

PARAMETRISED: dict[str, Callable[..., Callable[..., jax.Array]]] = {
    "normal": Normal,
    "uniform": Uniform,
    "scaled_identity": ScaledIdentity,
    "spectral_radius": SpectralRadius,
}


def initializer_function(initializer: Initializer) -> Callable[..., jax.Array]:
    """The initialiser ``function(key, shape, dtype)`` of that name; a callable is returned as it is.

    >>> initializer_function("spectral_radius(0.9, connectivity=0.1)")
    SpectralRadius(radius=0.9, connectivity=0.1, initializer='normal(1.0)')

    Raises:
        ValueError: the name is not known, or its parameters are not what it takes.
    """
    if not isinstance(initializer, str):
        return initializer
    if initializer in INITIALIZERS:
        return INITIALIZERS[initializer]
    call = re.fullmatch(r"(\w+)(\(.*\))?", initializer.strip())
    name = call[1] if call else initializer
    if name not in PARAMETRISED:
        raise ValueError(unknown_name("initializer", name, INITIALIZERS | PARAMETRISED))
    try:
        positional, by_name = _literal_arguments(initializer)
        return PARAMETRISED[name](*positional, **by_name)
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f"initializer {initializer!r}: {error}; write {_usage(name)}") from error


def initialize(
    initializer: Initializer, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike, gates: int = 1
) -> jax.Array:
    """Draw ``gates`` kernels of ``shape`` side by side, ``[*shape[:-1], gates * shape[-1]]``.

    Each gate is drawn alone: an orthogonal or Glorot kernel of the stacked shape would have the wrong scale.
    """
    draw = initializer_function(initializer)
    # The orthogonal factorisation has no half-precision form.
    exact = jnp.promote_types(dtype, jnp.float32)
    return jnp.concatenate([draw(k, shape, exact) for k in jax.random.split(key, gates)], axis=-1).astype(dtype)


def _literal_arguments(text: str) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call that is written out, ``"name(0.9, connectivity=0.1)"``; nothing of it is run."""
    call = ast.parse(text.strip(), mode="eval").body
    if not isinstance(call, ast.Call):
        raise ValueError("it takes parameters")
    by_name = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg is not None}
    return [ast.literal_eval(argument) for argument in call.args], by_name


def _usage(name: str) -> str:
    """How an initialiser with parameters is written."""
    parameters = inspect.signature(PARAMETRISED[name]).parameters.values()
    return f"{name}({', '.join(str(each.replace(annotation=each.empty)) for each in parameters)})"
