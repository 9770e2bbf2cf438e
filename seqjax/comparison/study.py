"""Training of several seeds and learning rates in one compiled loop, the same for every model."""

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from seqjax.comparison.models import BASELINE, Model, model_of_size, parameter_count
from seqjax.comparison.results import Comparison, Outcome
from seqjax.data import Task, TaskBatch, make_task
from seqjax.errors import ConfigError
from seqjax.losses import cross_entropy

_SEED_OF_TESTS = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How every model is trained.

    Attributes:
        parameters: how many each model should have.
        steps: updates.
        batch_size: sequences in each.
        seeds: how many times each model is trained from other parameters on other data.
        learning_rates: of Adam; the one that is best on the validation part over all seeds counts.
        clip: gradients are scaled down to this norm.
        examples: sequences of the test, and of the validation.
        chunk: updates in one compiled call.
    """

    parameters: int = 5000
    steps: int = 1000
    batch_size: int = 32
    seeds: int = 5
    learning_rates: tuple[float, ...] = (0.005,)
    clip: float = 1.0
    examples: int = 1000
    chunk: int = 50

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rates", tuple(self.learning_rates))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, int) and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigError(f"{field.name} must be a positive whole number, got {value!r}")
        if not self.learning_rates or not all(rate > 0 for rate in (*self.learning_rates, self.clip)):
            raise ConfigError(f"learning rates and clip must be positive, got {self.learning_rates} and {self.clip}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
    """What an update makes of a gradient, but for the learning rate.

    Attributes:
        name: of the optimiser: ``adam``, ``rmsprop``, or ``sgd`` without momentum.
        clip: gradients are scaled down to this norm, all together.
        clip_value: each entry of a gradient is clipped to this magnitude.
    """

    name: Literal["adam", "rmsprop", "sgd"] = "adam"
    clip: float | None = None
    clip_value: float | None = None

    def chain(self) -> optax.GradientTransformation:
        """The Optax chain, without its learning rate, which differs between the runs of one compiled loop."""
        scale = {"adam": optax.scale_by_adam, "rmsprop": optax.scale_by_rms, "sgd": optax.identity}
        parts = [scale[self.name]()]
        if self.clip_value is not None:
            parts.insert(0, optax.clip(self.clip_value))
        if self.clip is not None:
            parts.insert(0, optax.clip_by_global_norm(self.clip))
        return optax.chain(*parts)


Report = Callable[[int, int], None]
"""Called with the updates done and all updates."""


class _State(NamedTuple):
    params: Any
    moments: Any


def compare(
    models: Sequence[str | tuple[str, Mapping[str, Any]]],
    tasks: Sequence[str | Task],
    settings: Settings | None = None,
    *,
    baseline: bool = True,
    finished: Callable[[Comparison], None] = lambda so_far: None,
    advanced: Callable[[str, str, int, int], None] = lambda task, model, step, steps: None,
) -> Comparison:
    """Train every model on every task, all with as many parameters, and measure what each reaches.

    Args:
        models: names of cells, or pairs of a name and the cell's options.
        tasks: names, or tasks with other sizes than the usual ones.
        settings: of the training.
        baseline: also train causal convolutions.
        finished: called after each model with all that was found so far.
        advanced: called as training goes on, with task, model, updates done, and all updates.

    Raises:
        ConfigError, DataError: names or sizes that do not fit.

    Example:
        >>> from seqjax.comparison import Settings, compare
        >>> tiny = Settings(parameters=300, steps=2, batch_size=4, seeds=2, examples=8, chunk=2)
        >>> found = compare(["LSTM"], ["parity"], tiny)
        >>> found.models, len(found.outcomes[0].metrics)
        (['LSTM', 'convolution'], 2)
    """
    settings = settings or Settings()
    chosen = [make_task(task) if isinstance(task, str) else task for task in tasks]
    named = [(model, {}) if isinstance(model, str) else (model[0], dict(model[1])) for model in models]
    if baseline and not any(name == BASELINE for name, _ in named):
        named.append((BASELINE, {}))
    # What does not fit is found before anything is trained.
    built = [
        (task, _label(name, options), model_of_size(name, task, settings.parameters, options))
        for task, (name, options) in itertools.product(chosen, named)
    ]
    facts = {
        task.name: {
            "asks": task.asks,
            "options": dataclasses.asdict(task),
            "metric": task.metric,
            "higher_is_better": task.higher_is_better,
            "trivial": task.trivial(),
            "without_memory": task.without_memory,
        }
        for task in chosen
    }
    plain = dataclasses.asdict(settings) | {"learning_rates": list(settings.learning_rates)}
    found = Comparison(settings=plain, tasks=facts, outcomes=())
    for task, label, model in built:
        outcome = train(model, task, settings, functools.partial(advanced, task.name, label))
        found = dataclasses.replace(found, outcomes=(*found.outcomes, dataclasses.replace(outcome, model=label)))
        finished(found)
    return found


def train(model: Model, task: Task, settings: Settings, advanced: Report = lambda step, steps: None) -> Outcome:
    """Train one model on one task from every seed with every learning rate, and test it.

    Every model of a seed sees the same data in the same order, and all are tested on the same sequences.
    """
    started, rates = time.perf_counter(), settings.learning_rates
    params, curves = fit(model, task, settings, Rule(clip=settings.clip), advanced)
    metrics, best = tested(model, task, settings, params)
    return Outcome(
        task=task.name,
        model=type(model).__name__,
        width=model.width,
        parameters=parameter_count(model),
        learning_rate=rates[best],
        metrics=metrics,
        curve=tuple((step, float(of_rates[best].mean())) for step, of_rates in curves),
        seconds=time.perf_counter() - started,
    )


def initial(model: Model, settings: Settings, rule: Rule) -> Any:
    """The parameters that :func:`fit` begins with, ``[learning rates * seeds, ...]``, the seeds of a rate together."""
    return _start(model, rule, _keys(settings)).params


def fit(
    model: Model, task: Task, settings: Settings, rule: Rule, advanced: Report = lambda step, steps: None
) -> tuple[Any, list[tuple[int, np.ndarray]]]:
    """Train one model on one task from every seed with every learning rate, in one compiled loop.

    Returns:
        Parameters as :func:`initial` has them, and after each chunk the updates so far and the mean loss
        ``[learning rates, seeds]``.
    """
    rates, seeds = settings.learning_rates, range(settings.seeds)
    state = _start(model, rule, _keys(settings))
    rate = jnp.array([rate for rate, _ in itertools.product(rates, seeds)])
    curves, step = [], 0
    while step < settings.steps:
        chunk = min(settings.chunk, settings.steps - step)
        drawn = [[task.batch((seed, step + i), settings.batch_size) for seed in seeds] for i in range(chunk)]
        # [chunk, seeds, ...]: runs that differ in the learning rate only share their data.
        batches = jax.tree.map(lambda *each: np.stack(each), *[_stacked(of_seeds) for of_seeds in drawn])
        state, step_losses = _updates(model, task.metric, rule, state, rate, batches)
        step += chunk
        curves.append((step, np.asarray(step_losses).mean(0).reshape(len(rates), -1)))
        advanced(step, settings.steps)
    return state.params, curves


def tested(model: Model, task: Task, settings: Settings, params: Any) -> tuple[tuple[float, ...], int]:
    """The metric of each seed on the test part at the learning rate that is best on the validation part, and which."""
    rates = settings.learning_rates
    validation, test = (
        np.asarray(_metrics(model, task.metric, params, task.batch((_SEED_OF_TESTS,), settings.examples, part)))
        for part in ("validation", "test")
    )
    of_rates = validation.reshape(len(rates), -1).mean(1) * (1 if task.higher_is_better else -1)
    best = int(np.argmax(np.where(np.isnan(of_rates), -np.inf, of_rates)))
    return tuple(float(metric) for metric in test.reshape(len(rates), -1)[best]), best


def _keys(settings: Settings) -> jax.Array:
    runs = itertools.product(settings.learning_rates, range(settings.seeds))
    return jax.vmap(jax.random.key)(jnp.array([seed for _, seed in runs]))


def _label(name: str, options: Mapping[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value}' for key, value in options.items())})" if options else name


def _stacked(batches: list[TaskBatch]) -> TaskBatch:
    return TaskBatch(*(np.stack(arrays) for arrays in zip(*batches, strict=True)))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _start(model: Model, rule: Rule, keys: jax.Array) -> _State:
    params = jax.vmap(model.init)(keys)
    return _State(params, jax.vmap(rule.chain().init)(params))


@functools.partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=3)
def _updates(model: Model, metric: str, rule: Rule, state: _State, rate: jax.Array, batches: TaskBatch) -> Any:
    """A chunk of updates of all runs; losses ``[chunk, runs]``."""
    seeds = batches.inputs.shape[1]

    def update(state: _State, rate: jax.Array, batch: TaskBatch) -> tuple[_State, jax.Array]:
        loss, gradients = jax.value_and_grad(lambda params: _loss(model, metric, params, batch))(state.params)
        steps, moments = rule.chain().update(gradients, state.moments)
        return _State(jax.tree.map(lambda p, s: p - rate * s, state.params, steps), moments), loss

    def update_all(state: _State, batch: TaskBatch) -> tuple[_State, jax.Array]:
        repeated = jax.tree.map(lambda a: jnp.tile(a, (rate.size // seeds, *(1 for _ in a.shape[1:]))), batch)
        return jax.vmap(update)(state, rate, repeated)

    return jax.lax.scan(update_all, state, batches)


def features(model: Model, inputs: Any) -> Any:
    """A task's inputs as the model reads them: symbols one-hot."""
    return jax.nn.one_hot(inputs, model.input_size) if jnp.issubdtype(inputs.dtype, jnp.integer) else inputs


def losses(metric: str, predictions: jax.Array, batch: TaskBatch) -> jax.Array:
    """Squared errors, or cross-entropies in nats; zero where the mask is False."""
    if metric == "squared error":
        return jnp.where(batch.mask, (predictions[..., 0] - batch.targets) ** 2, 0)
    return cross_entropy(predictions, batch.targets, batch.mask)


def _loss(model: Model, metric: str, params: Any, batch: TaskBatch) -> jax.Array:
    return losses(metric, model(params, features(model, batch.inputs)), batch).sum() / batch.mask.sum()


@functools.partial(jax.jit, static_argnums=(0, 1))
def _metrics(model: Model, metric: str, params: Any, batch: TaskBatch) -> jax.Array:
    def of_run(params: Any) -> jax.Array:
        predictions = model(params, features(model, batch.inputs))
        mean = losses(metric, predictions, batch).sum() / batch.mask.sum()
        if metric in ("squared error", "bits"):
            return mean if metric == "squared error" else mean / math.log(2)
        right = predictions.argmax(-1) == batch.targets
        share = (right & batch.mask).sum() / batch.mask.sum() if metric == "accuracy" else (right | ~batch.mask).all(0)
        # Classes that come from NaN would count as right or wrong.
        return jnp.where(jnp.isnan(mean), jnp.nan, share.mean())

    # One run after the other: a test is far larger than a batch.
    return jax.lax.map(of_run, params)
