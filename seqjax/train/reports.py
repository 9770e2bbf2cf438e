"""What a run says when it begins, and what it leaves when it ends."""

import json
import platform
import shlex
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

import seqjax
from seqjax.config import LayersConfig
from seqjax.optim import skipped_updates
from seqjax.train.curves import draw_curves
from seqjax.train.experiment import Experiment
from seqjax.train.files import write_atomically
from seqjax.train.loop import Trainer
from seqjax.train.metrics import read_rows
from seqjax.train.progress import clock_text, comparison


def print_header(experiment: Experiment) -> None:
    """Say what is trained, on what, and what it has to surpass."""
    config = experiment.config
    platform, number = jax.devices()[0].platform, config.train.devices
    devices = platform if number == 1 else f"{number} devices ({platform})"
    lines = [
        f"{config.name}: {model_text(config.model)}, {experiment.learner.parameter_count():,} parameters, on {devices}",
        *experiment.description(),
    ]
    print("\n".join(lines), flush=True)


def model_text(layers: LayersConfig) -> str:
    """The recurrent layers in words."""
    count = "1 layer" if layers.num_layers == 1 else f"{layers.num_layers} layers"
    return f"{layers.cell}, {count} of {layers.hidden_size} units"


def finish(trainer: Trainer, run_dir: Path) -> Path:
    """Write what a run leaves at its end, its curve and its summary, and say how it compares."""
    experiment, config = trainer.experiment, trainer.experiment.config
    value = trainer.final_results()[experiment.metric]  # The last step is always evaluated.
    left, text = experiment.finish(trainer.final_state(), run_dir)
    rows = read_rows(run_dir / "metrics.jsonl")
    unit, rate, steps = experiment.unit, trainer.clock.units_per_second, config.train.steps
    summary: dict[str, Any] = {
        "metric": experiment.metric,
        "value": value,
        "baselines": dict(experiment.baselines),
        **left,
        "steps": steps,
        f"{unit}s_per_second": rate,
        "seconds": trainer.clock.seconds,
        "versions": _versions(),
        "parameters": experiment.learner.parameter_count(),
    }
    if config.optimizer.skip_nonfinite:
        summary["skipped_updates"] = skipped_updates(trainer.state.optimizer)
    best = "" if trainer.best is None else f", best at step {trainer.best.step:,}"
    pictures = draw_curves(run_dir, rows, experiment.curves(), name=config.name)
    write_atomically(run_dir / "summary.json", json.dumps(summary, indent=2) + "\n")
    speed = "" if rate is None else f" ({rate:,.0f} {unit}s/s)"
    against = comparison(value, experiment.baselines, experiment.higher_is_better)
    print(
        f"\n{experiment.result_text(value)} after {steps:,} steps{best} in {clock_text(trainer.clock.seconds)}{speed}"
        + (f": {against}" if against else "")
    )
    if summary.get("skipped_updates"):
        print(f"{summary['skipped_updates']} updates were skipped because a gradient was not finite")
    if pictures:
        print(f"loss curve: {pictures[0]}")
    print(f"\n{text}\nnext: {experiment.next_command.format(shlex.quote(str(run_dir)))}", flush=True)
    return run_dir


def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {
        "python": platform.python_version(),
        "seqjax": seqjax.__version__,
        **{package: metadata.version(package) for package in packages},
        "device": jax.devices()[0].device_kind,
    }
