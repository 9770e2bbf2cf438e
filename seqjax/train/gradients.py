"""How gradients flow through a whole model on its own data: the measures of :mod:`seqjax.analysis`, layer by layer."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqjax.analysis import (
    FlowSummary,
    GateStatistics,
    GradientFlow,
    NoGradient,
    Truncation,
    flow_meter,
    gate_statistics,
    kernel_eigenvalues,
    truncation,
)
from seqjax.analysis.plots import plain
from seqjax.cells.kernels import NormalizedKernel, StructuredKernel
from seqjax.cells.transforms import field_names
from seqjax.errors import DataError, TrainingError
from seqjax.losses import cross_entropy
from seqjax.nn import LanguageModel, Recurrent, recurrent_layers, step_of

_KERNEL = "recurrent_kernel"


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class LayerGradients:
    """One layer.

    Attributes:
        name: such as ``layers.0``.
        cell: as code.
        flow: for each leaf of its carry, by its name in the whole carry; ``None`` where no loss depends on it.
        eigenvalues: of its recurrent kernels by name, ``[gates, size]``, the largest modulus first.
        gates: what its gates did.
    """

    name: str
    cell: str
    flow: Mapping[str, FlowSummary | None]
    eigenvalues: Mapping[str, np.ndarray]
    gates: GateStatistics

    def spectral_radii(self) -> dict[str, list[float]]:
        """The largest modulus of the eigenvalues of each recurrent kernel, gate by gate."""
        return {name: [float(abs(gate[0])) for gate in values] for name, values in self.eigenvalues.items()}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class GradientReport:
    """Gradients through time of one model on one batch; print it.

    Attributes:
        name: of the experiment.
        step: of the checkpoint; 0 for initial parameters.
        sequences: in the batch.
        own_length: the truncation length that the model is trained with.
        flow: every loss against every state.
        layers: one entry a recurrent layer.
        truncation: of the gradient of the recurrent layers' parameters, in chunks, as the training cuts it; ``None``
            where those have no gradient, as in a reservoir.
        model: what was measured, to be read further.
    """

    name: str
    step: int
    sequences: int
    own_length: int
    flow: GradientFlow
    layers: tuple[LayerGradients, ...]
    truncation: Truncation | None
    model: LanguageModel

    def __str__(self) -> str:
        where = f"at step {self.step:,}" if self.step else "at its initial parameters"
        lines = [f"{self.name} {where}, on {self.sequences} sequences of {self.flow.time_steps} symbols"]
        for layer in self.layers:
            lines += ["", f"{layer.name}  {layer.cell}"]
            for leaf, summary in layer.flow.items():
                lines.append(f"  {summary or f'{leaf}: no loss depends on it'}")
            for name, radii in layer.spectral_radii().items():
                lines.append(f"  spectral radius of {name}, gate by gate: {' '.join(f'{r:.3f}' for r in radii)}")
            lines += [f"  {line}" for line in str(layer.gates).splitlines()]
        if self.truncation is None:
            return "\n".join([*lines, "", self.advice()])
        cut = "the gradient of the recurrent layers' parameters when the sequence is cut into chunks, as in training:"
        return "\n".join([*lines, "", cut, str(self.truncation), self.advice()])

    def advice(self) -> str:
        """The recommended truncation length beside the model's own."""
        if self.truncation is None:
            return "the recurrent layers' parameters have no gradient, so no truncation changes it"
        own, best, longest = self.own_length, self.truncation.recommended, self.flow.time_steps
        if best is None or best >= longest:
            return f"data.length={own}: no length below {longest} is enough; measure with a longer --length"
        if best > own:
            return f"data.length={own} is too short; data.length={best} would keep the gradient"
        return f"data.length={own} is enough" + (f"; {best} would be, too" if best < own else "")

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        cut, layers = self.truncation, []
        for layer in self.layers:
            gates = {
                gate: {
                    "mean": layer.gates.mean(gate),
                    "shut": layer.gates.saturated(gate)[0].mean(),
                    "open": layer.gates.saturated(gate)[1].mean(),
                }
                for gate in layer.gates.gates
            }
            record = {
                "name": layer.name,
                "cell": layer.cell,
                "flow": {leaf: summary and dataclasses.asdict(summary) for leaf, summary in layer.flow.items()},
                "spectral_radii": layer.spectral_radii(),
                "gates": gates,
                "dead_units": int(layer.gates.dead_units().sum()),
            }
            if "forget_gate" in layer.gates.values:
                record["time_scales"] = layer.gates.time_scales()
            layers.append(record)
        return plain(
            {
                "name": self.name,
                "step": self.step,
                "sequences": self.sequences,
                "time_steps": self.flow.time_steps,
                "own_length": self.own_length,
                "layers": layers,
                "truncation": cut and dataclasses.asdict(cut),
                "advice": self.advice(),
            }
        )

    def draw(self, folder: Path) -> list[Path]:
        """Write the pictures into a folder, each as PNG and SVG with its numbers as JSON."""
        from seqjax.analysis import plots

        leaves = [leaf for layer in self.layers for leaf, summary in layer.flow.items() if summary is not None]
        where = f"{self.name}, step {self.step:,}"
        lags = {leaf: self.flow.by_lag(leaf) for leaf in leaves}
        figure = plots.flow_by_lag(lags, title=f"How far back gradients reach: {where}")
        written = plots.save(figure, folder / "flow_by_lag", lags)
        for leaf in leaves:
            figure = plots.flow_matrix(self.flow, leaf)
            numbers = {"norms": self.flow.norms[leaf], "times": self.flow.times}
            written += plots.save(figure, folder / f"flow_{leaf.replace('.', '_')}", numbers)
        if self.truncation is not None:
            figure = plots.truncation(self.truncation, title=f"What truncation leaves of the gradient: {where}")
            if self.own_length <= self.flow.time_steps:
                own = figure.axes[0].axvline(self.own_length, color=plots.COLORS[2], linestyle=":", linewidth=1.5)
                own.set_label(f"data.length={self.own_length}")
                figure.axes[0].legend(frameon=False)
            written += plots.save(figure, folder / "truncation", dataclasses.asdict(self.truncation))
        for layer in self.layers:
            file = layer.name.replace(".", "_")
            for name, values in layer.eigenvalues.items():
                gates = {f"gate {index + 1}": gate for index, gate in enumerate(values)} if len(values) > 1 else None
                figure = plots.spectrum(gates or {name: values}, title=f"Eigenvalues of {layer.name}.{name}")
                written += plots.save(figure, folder / f"spectrum_{file}_{name}", {name: values})
            gates = {gate: layer.gates.values[gate] for gate in layer.gates.gates}
            if gates:
                title = f"Gates of {layer.name}: shut at 0, open at 1"
                figure = plots.distribution(gates, label="value of the gate", title=title)
                written += plots.save(figure, folder / f"gates_{file}", gates)
            if "forget_gate" in gates:
                scales = layer.gates.time_scales()
                title = f"How long the units of {layer.name} remember"
                figure = plots.distribution({"units": scales}, label="steps", logarithmic=True, title=title)
                written += plots.save(figure, folder / f"time_scales_{file}", {"time_scales": scales})
        return written


def report(
    model: LanguageModel, inputs: np.ndarray, targets: np.ndarray, *, name: str, step: int, own_length: int
) -> GradientReport:
    """Measure a language model.

    Args:
        model: the model.
        inputs: symbols, ``[batch, time]``.
        targets: the symbols that follow, ``[batch, time]``.
        name: of the experiment.
        step: of the checkpoint, 0 for initial parameters.
        own_length: the truncation length that the model is trained with.

    Raises:
        TrainingError: parameters or gradients that are not finite.
        DataError: a single time step.
    """
    time_steps = inputs.shape[1]
    if time_steps < 2:
        raise DataError(f"gradients through time need at least 2 time steps, got {time_steps}; give a larger --length")
    step_function, params, carry = step_of(model, inputs.shape[0])
    check_finite(params)
    symbols, following = inputs.T[..., None], targets.T
    powers = {2**power for power in range(time_steps.bit_length())}
    lengths = sorted(length for length in {*powers, own_length, time_steps} if length <= time_steps)
    try:
        flow = flow_meter(step_function, loss=cross_entropy)(params, symbols, carry, targets=following)
        cut = _truncation(step_function, params, symbols, carry, following, lengths)
    except ValueError as error:
        raise TrainingError(f"{name}: {error}") from error
    layers = []
    for each in recurrent_layers(model, symbols):
        leaves = [leaf for leaf in flow.norms if leaf.startswith(f"{each.name}.")]
        layers.append(
            LayerGradients(
                name=each.name,
                cell=repr(each.layer.cell),
                flow={leaf: reached(flow, leaf) for leaf in leaves},
                eigenvalues=_eigenvalues(each.layer),
                gates=gate_statistics(each.layer.cell, each.layer.param_values, each.inputs),
            )
        )
    return GradientReport(
        name=name,
        step=step,
        sequences=inputs.shape[0],
        own_length=own_length,
        flow=flow,
        layers=tuple(layers),
        truncation=cut,
        model=model,
    )


def _truncation(
    step: Callable[..., Any], params: Any, symbols: Any, carry: Any, following: Any, lengths: list[int]
) -> Truncation | None:
    # Embedding and head take most of the norm, and what reaches them hardly depends on the truncation.
    recurrent = {name: leaf for name, leaf in params.items() if ".params." in name}

    def with_fixed_rest(recurrent: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        return step(params | recurrent, carry, inputs)

    options: Any = {"loss": cross_entropy, "targets": following, "lengths": lengths, "kind": "chunks"}
    try:
        return truncation(with_fixed_rest, recurrent, symbols, carry, **options)
    except NoGradient:
        return None


def check_finite(params: Mapping[str, Any]) -> None:
    """Raise a TrainingError that names the parameters that are not finite."""
    wrong = []
    for name, leaf in params.items():
        count = int((~np.isfinite(np.asarray(leaf, np.float64))).sum())
        if count:
            wrong.append(f"{name} ({count} of {leaf.size})")
    if wrong:
        raise TrainingError(
            f"parameters that are not finite have no gradients: {', '.join(wrong)}; take an earlier --checkpoint"
        )


def reached(flow: GradientFlow, leaf: str) -> FlowSummary | None:
    """The summary of a leaf, ``None`` where no loss depends on it."""
    return flow.summary(leaf) if np.any(np.asarray(flow.norms[leaf]) > 0) else None


def _eigenvalues(layer: Recurrent) -> dict[str, np.ndarray]:
    found, values = {}, layer.param_values
    for name in field_names(values):
        kernel = getattr(values, name)
        # The product with a normalised kernel is not linear.
        if not name.endswith(_KERNEL) or isinstance(kernel, NormalizedKernel):
            continue
        if isinstance(kernel, StructuredKernel):
            kernel = kernel.product(np.eye(kernel.shape[0], dtype=np.float32))
        if not isinstance(kernel, jax.Array) or kernel.ndim != 2 or kernel.shape[1] % kernel.shape[0]:
            continue
        with jax.default_device(jax.devices("cpu")[0]):
            found[name] = np.asarray(kernel_eigenvalues(np.asarray(kernel), kernel.shape[1] // kernel.shape[0]))
    return found


class FlowCallback:
    """Gradient flow of a model that is being trained, always on the same few sequences.

    Args:
        model: whose step it is.
        inputs: symbols, ``[batch, time]``; the first few sequences are used.
        targets: the symbols that follow.
    """

    SEQUENCES = 4
    LOSSES = 8

    def __init__(self, model: LanguageModel, inputs: np.ndarray, targets: np.ndarray) -> None:
        self._inputs, self._targets = inputs[: self.SEQUENCES].T[..., None], targets[: self.SEQUENCES].T
        time_steps = len(self._inputs)
        # The losses of the second half look back far enough for what is reported.
        self._times = np.unique(np.linspace(time_steps // 2, time_steps - 1, self.LOSSES).round().astype(int))
        self._measure = flow_meter(step_of(model, self._inputs.shape[1]).step, loss=cross_entropy)

    def __call__(self, model: LanguageModel) -> dict[str, float | str | None]:
        """Half-life, ratio and verdict of every leaf for a row of the metrics file; ``None`` is not a finite number."""
        _, params, carry = step_of(model, self._inputs.shape[1])
        row: dict[str, float | str | None] = {}
        try:
            flow = self._measure(params, self._inputs, carry, targets=self._targets, times=self._times)
        except ValueError:
            # What is not finite ends the training elsewhere, or is skipped there.
            return row
        for leaf in flow.norms:
            summary = reached(flow, leaf)
            if summary is not None:
                at = f"gradient_flow/{leaf}"
                row[f"{at}/half_life"] = summary.half_life if math.isfinite(summary.half_life) else None
                row[f"{at}/ratio"] = summary.ratio if math.isfinite(summary.ratio) else None
                row[f"{at}/verdict"] = summary.verdict
        return row
