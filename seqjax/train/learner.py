"""A module, its objective and its optimiser as pure, compiled functions of one state."""

import functools
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import NamedSharding, PartitionSpec

from seqjax.nn.functions import by_name, dotted_name, like_named
from seqjax.parallel import batch_mesh, replicate, split_batch


class Objective(ABC):
    """What a module is trained and measured for: pure functions of the module and a batch.

    A batch is a tree of arrays, each with the batch axis first. A module that reads on from batch to batch hands on a
    carry; the others have none.
    """

    def initial_carry(self, model: Any, batch_size: int) -> Any:
        """The carry before the first batch; a tree whose arrays have the batch axis first."""
        return ()

    @abstractmethod
    def loss(self, model: Any, carry: Any, batch: Any, step: jax.Array) -> tuple[Any, jax.Array, jax.Array | int]:
        """The next carry, the sum of the batch's losses, and of how many; their quotient is what falls in training.

        ``step`` is the number of updates before.
        """

    @abstractmethod
    def evaluate(self, model: Any, carry: Any, batch: Any) -> tuple[Any, Any]:
        """The next carry, and a tree of arrays to be measured on the host."""


class Totals(NamedTuple):
    """Sums since the last row of the metrics file; only updates from finite gradients count."""

    loss: jax.Array
    weight: jax.Array
    """How many losses were added up."""
    gradient_norm: jax.Array
    updates: jax.Array


class TrainState(NamedTuple):
    """Everything that one update changes."""

    step: jax.Array
    """Updates so far."""
    parameters: dict[str, jax.Array]
    variables: dict[str, jax.Array]
    """What the model holds besides parameters: the random state of dropout."""
    optimizer: optax.OptState
    carry: Any
    totals: Totals
    failures: jax.Array
    """Batches in a row whose loss or gradient was not finite."""
    failed_at: jax.Array
    """The first step at which there were too many of them; 0 if there is none."""
    average: dict[str, jax.Array]
    """The average of the parameters over the updates; empty where none is kept."""

    @property
    def measured(self) -> dict[str, jax.Array]:
        """The parameters that are measured, and that count in the end: their average where one is kept."""
        return self.average or self.parameters


class Learner:
    """The compiled functions of a training run.

    The Flax modules are taken apart once. The functions take and return plain dictionaries of arrays, which cost
    less to hand to a compiled function than modules do, and give every leaf of a checkpoint a readable name.

    Args:
        model: the module; its values become the initial state.
        objective: what it is trained and measured for.
        optimizer: the Optax chain.
        batch_size: sequences side by side.
        allowed_failures: how many batches in a row may have a loss or gradient that is not finite.
        devices: how many the batch is split over; the rest of the state lies on each.
        weight_noise: standard deviation of normal noise that is added to the parameters wherever a gradient is taken
            (Graves 2011, Practical variational inference for neural networks); evaluations are without.
        noise_key: of that noise; every update has its own.
        average_decay: of an exponential average of the parameters, 0 for none:
            ``average += (1 - d) * (parameters - average)`` with ``d = min(average_decay, step / (step + 9))``, which
            forgets the beginning.

    Raises:
        ValueError: if there are fewer devices, the batch cannot be split over them, or noise has no key.
    """

    def __init__(
        self,
        model: nnx.Module,
        objective: Objective,
        optimizer: optax.GradientTransformation,
        *,
        batch_size: int,
        allowed_failures: int = 0,
        devices: int = 1,
        weight_noise: float = 0.0,
        noise_key: jax.Array | None = None,
        average_decay: float = 0.0,
    ) -> None:
        if weight_noise and noise_key is None:
            raise ValueError(f"weight_noise is {weight_noise} and there is no noise_key to draw it from; give one")
        self._weight_noise, self._noise_key, self._average_decay = weight_noise, noise_key, average_decay
        self._objective = objective
        self._optimizer = optimizer
        self._batch_size = batch_size
        self._allowed_failures = allowed_failures
        views = {
            training: nnx.view(model, deterministic=not training, raise_if_not_found=False)
            for training in (True, False)
        }
        self._graphs = {training: nnx.split(view, nnx.Param, ...) for training, view in views.items()}
        _, self._initial_parameters, self._initial_variables = self._graphs[True]
        self._mesh = None if devices == 1 else batch_mesh(devices)
        # Left to itself, the compiler may lay out a state otherwise than the one before, and compile a second time.
        whole, split, state = None, None, None
        if self._mesh is not None:
            whole = NamedSharding(self._mesh, PartitionSpec())
            split = NamedSharding(self._mesh, PartitionSpec("batch"))
            state = TrainState._make([whole] * len(TrainState._fields))._replace(carry=split)
        self._update = jax.jit(
            self._update_step,
            donate_argnums=0,
            in_shardings=(state, split, whole),
            out_shardings=(state, whole),
        )
        self._evaluate = jax.jit(
            self._evaluation_step,
            donate_argnums=2,
            in_shardings=(whole, whole, split, split),
            out_shardings=(split, whole),
        )

    def initial_state(self) -> TrainState:
        """The state before the first update."""
        parameters = by_name(self._initial_parameters)
        zero = jnp.zeros([], jnp.int32)
        state = TrainState(
            step=zero,
            parameters=parameters,
            variables=by_name(self._initial_variables),
            optimizer=self._optimizer.init(parameters),
            carry=self._carry(parameters),
            totals=_no_totals(),
            failures=zero,
            failed_at=zero,
            average=parameters if self._average_decay else {},
        )
        # Updates take the state's buffers over, so no two leaves may share one.
        return self.placed(_copied(state))

    def initial_carry(self, parameters: dict[str, jax.Array]) -> Any:
        """The carry before the first batch; its buffers are its own, for an evaluation takes them over."""
        carry = _copied(self._carry(parameters))
        return carry if self._mesh is None else split_batch(carry, self._mesh, axis=0)

    def placed(self, state: TrainState) -> TrainState:
        """The state where updates expect it: its carry split over the devices, the rest on each."""
        if self._mesh is None:
            return state
        carry = split_batch(state.carry, self._mesh, axis=0)
        return replicate(state._replace(carry=None), self._mesh)._replace(carry=carry)

    def update(self, state: TrainState, batch: Any, fresh: bool = False) -> Any:
        """One update: the next state, and the batch's mean loss.

        The state given is used up: its buffers become those of the next one.

        Args:
            state: the state before.
            batch: arrays with the batch axis first.
            fresh: start from the initial carry.
        """
        return self._update(state, batch, fresh)

    def evaluate(self, state: TrainState, carry: Any, batch: Any) -> Any:
        """The carry after a batch, and what the objective measures in it; the carry given is used up."""
        return self._evaluate(state.measured, state.variables, carry, batch)

    def model(self, state: TrainState) -> Any:
        """The module with the state's values on one device, without dropout."""
        parameters, variables = state.measured, state.variables
        if self._mesh is not None:
            parameters, variables = jax.device_put((parameters, variables), self._mesh.devices.flat[0])
        return self._module(parameters, variables, training=False)

    def parameter_count(self) -> int:
        """Number of trained numbers."""
        return sum(leaf.size for leaf in jax.tree.leaves(self._initial_parameters))

    def _carry(self, parameters: dict[str, jax.Array]) -> Any:
        module = self._module(parameters, by_name(self._initial_variables), training=False)
        return self._objective.initial_carry(module, self._batch_size)

    def _module(self, parameters: dict[str, jax.Array], variables: dict[str, jax.Array], training: bool) -> Any:
        graph, parameter_tree, variable_tree = self._graphs[training]
        return nnx.merge(graph, like_named(parameter_tree, parameters), like_named(variable_tree, variables))

    def _noisy(self, parameters: dict[str, jax.Array], step: jax.Array) -> dict[str, jax.Array]:
        if self._noise_key is None or not self._weight_noise:
            return parameters
        keys = jax.random.split(jax.random.fold_in(self._noise_key, step), len(parameters))
        return {
            name: leaf + self._weight_noise * jax.random.normal(key, leaf.shape, leaf.dtype)
            for key, (name, leaf) in zip(keys, sorted(parameters.items()), strict=True)
        }

    def _update_step(self, state: TrainState, batch: Any, fresh: jax.Array) -> Any:
        def loss_function(parameters: dict[str, jax.Array]) -> Any:
            model = self._module(self._noisy(parameters, state.step), state.variables, training=True)
            initial = self._objective.initial_carry(model, self._batch_size)
            carry = jax.tree.map(functools.partial(jnp.where, fresh), initial, state.carry)
            carry, total, weight = self._objective.loss(model, carry, batch, state.step)
            variables = by_name(nnx.split(model, nnx.Param, ...)[2])
            return total / jnp.maximum(weight, 1), (carry, variables, total, weight)

        differentiated = jax.value_and_grad(loss_function, has_aux=True)(state.parameters)
        (loss, (carry, variables, total, weight)), gradients = differentiated
        finite = functools.reduce(
            jnp.logical_and, [jnp.all(jnp.isfinite(leaf)) for leaf in [loss, *jax.tree.leaves(gradients)]]
        )
        updates, optimizer = self._optimizer.update(gradients, state.optimizer, state.parameters)
        parameters = cast("dict[str, jax.Array]", optax.apply_updates(state.parameters, updates))
        # A carry that is not finite would spoil every batch to come, even where the update is skipped.
        carry = jax.tree.map(functools.partial(jnp.where, finite), carry, self._carry(state.parameters))
        step = state.step + 1
        failures = jnp.where(finite, 0, state.failures + 1)
        failed = (failures > self._allowed_failures) & (state.failed_at == 0)
        sums = Totals(
            loss=state.totals.loss + total,
            weight=state.totals.weight + weight,
            gradient_norm=state.totals.gradient_norm + optax.tree.norm(gradients),
            updates=state.totals.updates + 1,
        )
        return TrainState(
            step=step,
            parameters=parameters,
            variables=variables,
            optimizer=optimizer,
            carry=carry,
            totals=jax.tree.map(functools.partial(jnp.where, finite), sums, state.totals),
            failures=failures,
            failed_at=jnp.where(failed, step, state.failed_at),
            average=self._averaged(state.average, parameters, step),
        ), loss

    def _averaged(
        self, average: dict[str, jax.Array], parameters: dict[str, jax.Array], step: jax.Array
    ) -> dict[str, jax.Array]:
        kept = jnp.minimum(self._average_decay, step / (step + 9))
        return {name: leaf + (1 - kept) * (parameters[name] - leaf) for name, leaf in average.items()}

    def _evaluation_step(
        self, parameters: dict[str, jax.Array], variables: dict[str, jax.Array], carry: Any, batch: Any
    ) -> Any:
        return self._objective.evaluate(self._module(parameters, variables, training=False), carry, batch)


def without_totals(state: TrainState) -> TrainState:
    """The state after a row of the metrics file has been written."""
    return state._replace(totals=_no_totals())


def to_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """A copy of every leaf on the host, under its dotted name."""
    return {name: np.array(_plain(leaf)) for name, leaf in by_name(state).items()}


def from_arrays(like: TrainState, arrays: dict[str, np.ndarray]) -> TrainState:
    """The inverse of :func:`to_arrays`; ``like`` gives the structure."""

    def restore(path: Any, leaf: Any) -> jax.Array:
        array = jnp.array(arrays[dotted_name(path)])
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf))
        return array

    return jax.tree_util.tree_map_with_path(restore, like)


def _no_totals() -> Totals:
    # Each leaf has a buffer of its own, for updates take them over.
    return Totals(jnp.zeros([]), jnp.zeros([], jnp.int32), jnp.zeros([]), jnp.zeros([], jnp.int32))


def _copied(tree: Any) -> Any:
    return jax.tree.map(functools.partial(jnp.array, copy=True), tree)


def _plain(leaf: jax.Array) -> jax.Array:
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
