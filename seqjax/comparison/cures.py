"""What is done against vanishing and exploding gradients, side by side: the same measurements for every cure."""

import dataclasses
import functools
import itertools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import initializers

from seqjax.analysis import FlowSummary, flow_meter
from seqjax.cells import GRU, LSTM, Cell, Elman
from seqjax.cells.transforms import batch_normalization, clip_gradient, layer_normalization
from seqjax.comparison.models import Model, parameter_count
from seqjax.comparison.study import Rule, Settings, features, fit, initial, losses, tested
from seqjax.data import Task, TaskBatch
from seqjax.engine import scan
from seqjax.errors import ConfigError, nearest

_SEQUENCES = 16
_LOSSES = 8
CLIP = 1.0
CLIP_VALUE = 0.1
CLIP_OF_STEP = 0.1  # Of the gradient of a sequence's own loss, before it is divided in the mean of the batch.
RATES = (0.001, 0.003, 0.01)
RATES_OF_SGD = (0.01, 0.03, 0.1)


class StackParams(NamedTuple):
    """Parameters of :class:`StackModel`."""

    cells: tuple[Any, ...]
    """Those of each cell."""
    kernel: jax.Array
    """Of the read-out, ``[features of the last cell's output, output_size]``."""
    bias: jax.Array
    """``[output_size]``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StackModel(Model):
    """Cells on top of each other with a linear read-out, as one step that is trained and measured.

    Attributes:
        cells: the lowest first.
        residual: from the second cell on, add a cell's inputs to its output.
        truncation: the gradient is cut where a step's number is a multiple of it.
    """

    cells: tuple[Cell, ...]
    residual: bool = False
    truncation: int | None = None

    @property
    def input_size(self) -> int:
        """The lowest cell's."""
        return self.cells[0].input_size

    @property
    def width(self) -> int:
        """The lowest cell's hidden size."""
        return self.cells[0].hidden_size

    def init(self, key: jax.Array) -> StackParams:
        """The cells' own parameters, a Glorot read-out, and no bias."""
        readout_key, *keys = jax.random.split(key, 1 + len(self.cells))
        shape = (self.cells[-1].output_size, self.output_size)
        return StackParams(
            cells=tuple(cell.init(key) for cell, key in zip(self.cells, keys, strict=True)),
            kernel=initializers.glorot_uniform()(readout_key, shape, jnp.float32),
            bias=jnp.zeros(self.output_size),
        )

    def initial_carry(self, batch_shape: tuple[int, ...]) -> Any:
        """The carry before the first step, with its number where the gradient is cut."""
        carry = {"layers": tuple(cell.initial_carry(batch_shape) for cell in self.cells)}
        return carry if self.truncation is None else carry | {"time": jnp.zeros([], jnp.int32)}

    def step(self, params: StackParams, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        """One step of all cells, and its predictions."""
        states, new = carry["layers"], []
        if self.truncation is not None:
            cut = carry["time"] % self.truncation == 0
            states = jax.tree.map(lambda leaf: jnp.where(cut, jax.lax.stop_gradient(leaf), leaf), states)
        for index, (cell, cell_params, state) in enumerate(zip(self.cells, params.cells, states, strict=True)):
            state, output = cell(cell_params, state, inputs)
            new.append(state)
            inputs = inputs + output if self.residual and index else output
        after = {"layers": tuple(new)} | ({} if self.truncation is None else {"time": carry["time"] + 1})
        return after, inputs @ params.kernel + params.bias

    def __call__(self, params: StackParams, inputs: jax.Array) -> jax.Array:
        """All steps."""
        return scan(self.step, params, inputs, self.initial_carry(inputs.shape[1:-1]))[1]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cure:
    """One thing that is changed.

    Attributes:
        group: what kind of cure it is.
        name: what is changed.
        model: what is trained.
        rule: what an update makes of the gradient.
        rates: learning rates that are tried.
    """

    group: str
    name: str
    model: StackModel
    rule: Rule = dataclasses.field(default_factory=lambda: Rule(clip=CLIP))
    rates: tuple[float, ...] = RATES


BASELINE = "baseline"
GROUPS = (
    "initialisation",
    "activation",
    "normalisation",
    "residual",
    "gating",
    "clipping",
    "truncation",
    "optimiser",
)


def list_cures(task: Task, units: int = 32, groups: Sequence[str] = GROUPS, batch_size: int = 32) -> list[Cure]:
    """The baseline, a tanh Elman network with a Glorot recurrent kernel and Adam, and what is different in one thing.

    Args:
        task: what is learned.
        units: hidden units of every layer.
        groups: which kinds, or single cures by a part of their names, such as "IRNN".
        batch_size: of the training, whose loss is a mean.

    Raises:
        ConfigError: a kind that is not known.
    """
    elman = functools.partial(Elman, hidden_size=units, recurrent_initializer="glorot_uniform")
    inputs, longest = task.input_size, task.longest
    plain = elman(input_size=inputs)
    two = (plain, elman(input_size=units))
    half = max(1, longest // 2)

    def model(*cells: Cell, **options: Any) -> StackModel:
        return StackModel(output_size=task.output_size, cells=cells, **options)

    def changed(**options: Any) -> StackModel:
        return model(dataclasses.replace(plain, **options))

    lstm = LSTM(input_size=inputs, hidden_size=units)
    gru = GRU(input_size=inputs, hidden_size=units)
    chrono = dataclasses.replace(lstm, forget_bias="chrono", longest_memory=max(3, longest))
    every = [
        Cure(group="initialisation", name="orthogonal", model=changed(recurrent_initializer="orthogonal")),
        Cure(group="initialisation", name="identity", model=changed(recurrent_initializer="identity")),
        Cure(
            group="initialisation",
            name="identity with ReLU (IRNN)",
            # With large inputs the states of active units, which add up, explode before anything is learnt.
            model=changed(recurrent_initializer="identity", activation="relu", kernel_initializer="normal(0.03)"),
        ),
        Cure(group="initialisation", name="chrono (LSTM)", model=model(chrono)),
        Cure(group="activation", name="sigmoid", model=changed(activation="sigmoid")),
        Cure(group="activation", name="ReLU", model=changed(activation="relu")),
        Cure(group="normalisation", name="layer", model=model(layer_normalization(plain))),
        Cure(group="normalisation", name="batch", model=model(batch_normalization(plain))),
        Cure(group="residual", name="two layers, without", model=model(*two)),
        Cure(group="residual", name="two layers, with", model=model(*two, residual=True)),
        Cure(group="gating", name="LSTM", model=model(lstm)),
        Cure(group="gating", name="GRU", model=model(gru)),
        Cure(group="clipping", name="none", model=model(plain), rule=Rule()),
        Cure(
            group="clipping",
            name=f"each value at {CLIP_VALUE:g}",
            model=model(plain),
            rule=Rule(clip_value=CLIP_VALUE),
        ),
        Cure(
            group="clipping",
            name=f"norm in each step at {CLIP_OF_STEP:g}",
            model=model(clip_gradient(plain, norm=CLIP_OF_STEP * _share(task, batch_size))),
            rule=Rule(),
        ),
        Cure(group="truncation", name=f"every {half} steps", model=model(plain, truncation=half)),
        Cure(group="optimiser", name="SGD", model=model(plain), rule=Rule(name="sgd", clip=CLIP), rates=RATES_OF_SGD),
        Cure(group="optimiser", name="RMSprop", model=model(plain), rule=Rule(name="rmsprop", clip=CLIP)),
    ]
    chosen = []
    for group in groups:
        found = [cure for cure in every if cure.group == group] or [
            cure for cure in every if group.lower() in cure.name.lower()
        ]
        if not found:
            raise ConfigError(f"there are no cures of the kind {group!r}; {nearest(group, GROUPS)}")
        chosen += found
    baseline = Cure(group=BASELINE, name="Elman, tanh, Glorot, norm clipped, Adam", model=model(plain))
    return [baseline, *(cure for cure in every if cure in chosen)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cured:
    """What a cure did.

    Attributes:
        group: what kind of cure it is.
        name: what is changed.
        parameters: how many there are.
        learning_rate: the best of those tried, on the validation part.
        before: gradient flow at the first parameters, through the leaf that carries it farthest.
        after: the same after training; ``None`` where it is not finite.
        metrics: on the test part, one for each seed; NaN where training diverged.
        seconds: compilation included.
    """

    group: str
    name: str
    parameters: int
    learning_rate: float
    before: FlowSummary | None
    after: FlowSummary | None
    metrics: tuple[float, ...]
    seconds: float

    @property
    def mean(self) -> float:
        """Mean of the metrics."""
        return math.fsum(self.metrics) / len(self.metrics)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cures:
    """All of them, on one task.

    Attributes:
        task: its name.
        asks: the task in a sentence.
        metric: what is measured.
        higher_is_better: whether more of it is better.
        trivial: what is reached without memory.
        time_steps: of a sequence.
        settings: of the training.
        units: hidden units of every layer.
        rows: in the order in which they ran, the baseline first.
    """

    task: str
    asks: str
    metric: str
    higher_is_better: bool
    trivial: float
    time_steps: int
    settings: dict[str, Any]
    units: int
    rows: tuple[Cured, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON, but for numbers that are not finite."""
        return dataclasses.asdict(self)


def compare_cures(
    task: Task,
    settings: Settings | None = None,
    *,
    units: int = 32,
    groups: Sequence[str] = GROUPS,
    rates: tuple[float, ...] | None = None,
    finished: Callable[[Cured], None] = lambda cured: None,
) -> Cures:
    """Train every cure on a task, and measure gradient flow before and after.

    Args:
        task: what is learned.
        settings: of the training; its learning rates and clipping are the cures' own.
        units: hidden units of every layer.
        groups: which cures besides the baseline, as for :func:`list_cures`.
        rates: learning rates that are tried with every cure; its own three if not given.
        finished: called after each.

    Example:
        >>> import seqjax
        >>> from seqjax.comparison import Settings, compare_cures
        >>> tiny = Settings(steps=2, batch_size=4, seeds=1, examples=8, chunk=2)
        >>> found = compare_cures(seqjax.data.make_task("adding", length=6), tiny, units=4, groups=["optimiser"])
        >>> [row.name for row in found.rows[1:]], found.rows[0].before.horizon
        (['SGD', 'RMSprop'], 5)
    """
    settings = settings or Settings(steps=400, seeds=2)
    rows = []
    for cure in list_cures(task, units, groups, settings.batch_size):
        rows.append(_cured(cure, task, dataclasses.replace(settings, learning_rates=rates or cure.rates)))
        finished(rows[-1])
    shown = ("steps", "batch_size", "seeds", "examples")
    return Cures(
        task=task.name,
        asks=task.asks,
        metric=task.metric,
        higher_is_better=task.higher_is_better,
        trivial=task.trivial(),
        time_steps=task.longest,
        settings={name: getattr(settings, name) for name in shown} | {"learning_rates": rates},
        units=units,
        rows=tuple(rows),
    )


def _cured(cure: Cure, task: Task, settings: Settings) -> Cured:
    started, model = time.perf_counter(), cure.model
    batch = task.batch((1,), _SEQUENCES, "validation")
    measure = functools.partial(_flow, flow_meter(model.step, loss=_loss(task, settings.batch_size)), model, batch)
    first = initial(model, settings, cure.rule)
    params, _ = fit(model, task, settings, cure.rule)
    metrics, best = tested(model, task, settings, params)
    # Of the first seed at the best learning rate.
    one = lambda tree: jax.tree.map(lambda leaf: leaf[best * settings.seeds], tree)
    return Cured(
        group=cure.group,
        name=cure.name,
        parameters=parameter_count(model),
        learning_rate=settings.learning_rates[best],
        before=measure(one(first)),
        after=measure(one(params)),
        metrics=metrics,
        seconds=time.perf_counter() - started,
    )


def _share(task: Task, batch_size: int) -> float:
    """What the loss of one step of one sequence counts in the mean of a batch."""
    return 1 / (batch_size * int(task.batch((0,), 1).mask.sum()))


def _loss(task: Task, batch_size: int) -> Callable[[Any, Any], jax.Array]:
    # As large as in training, for clipping depends on it.
    share = _share(task, batch_size)
    return lambda output, target: share * losses(task.metric, output, TaskBatch(target[0], *target))


def _flow(measure: Any, model: StackModel, batch: TaskBatch, params: Any) -> FlowSummary | None:
    counted = np.flatnonzero(batch.mask.any(1))
    times = np.unique(counted[np.linspace(len(counted) // 2, len(counted) - 1, _LOSSES).round().astype(int)])
    inputs = features(model, batch.inputs)
    try:
        carry = model.initial_carry(inputs.shape[1:-1])
        flow = measure(params, inputs, carry, targets=(batch.targets, batch.mask), times=times)
    except ValueError:
        return None
    reached = [flow.summary(leaf) for leaf, norms in flow.norms.items() if np.any(np.asarray(norms) > 0)]
    return max(reached, key=lambda summary: summary.ratio) if reached else None


def cure_table(found: Cures) -> list[tuple[str, ...]]:
    """Rows of text with two heading rows, the baseline first."""
    rows = [
        ("", "", "before training", "", "", "after training", "", "", found.metric),
        ("", "", "verdict", "half-life", "left", "verdict", "half-life", "left", ""),
    ]
    group = None
    for row in found.rows:
        rows.append(
            (
                row.group if row.group != group else "",
                row.name,
                *_flow_text(row.before),
                *_flow_text(row.after),
                _metrics_text(row.metrics),
            )
        )
        group = row.group
    return [*rows, ("", "without memory", *[""] * 6, f"{found.trivial:.4f}")]


def _flow_text(summary: FlowSummary | None) -> tuple[str, str, str]:
    if summary is None:
        return "none", "", ""
    half = "-" if math.isinf(summary.half_life) else f"{summary.half_life:.3g}"
    return summary.verdict, half, f"{summary.ratio:.1e}"


def _metrics_text(metrics: Sequence[float]) -> str:
    mean = math.fsum(metrics) / len(metrics)
    if math.isnan(mean):
        return "diverged"
    return f"{mean:.4f}" + (f" ({min(metrics):.4f} to {max(metrics):.4f})" if len(metrics) > 1 else "")


def groups_of(found: Cures) -> list[tuple[str, list[Cured]]]:
    """The rows by kind, in order."""
    return [(group, list(rows)) for group, rows in itertools.groupby(found.rows, key=lambda row: row.group)]
