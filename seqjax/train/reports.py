"""What a run says when it begins, and what it leaves when it ends."""

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

import seqjax
from seqjax.optim import skipped_updates
from seqjax.train.curves import draw_loss_curve
from seqjax.train.experiment import Experiment, sample_text
from seqjax.train.files import write_atomically
from seqjax.train.loop import Trainer
from seqjax.train.metrics import read_rows
from seqjax.train.progress import clock_text, comparison


def print_header(experiment: Experiment) -> None:
    """Say what is trained, on what, and what it has to get below."""
    config, corpus, unit = experiment.config, experiment.corpus, experiment.unit
    model, steps, data = config.model, config.train.steps, config.data
    platform, number = jax.devices()[0].platform, config.train.devices
    devices = platform if number == 1 else f"{number} devices ({platform})"
    layers = "1 layer" if model.num_layers == 1 else f"{model.num_layers} layers"
    passes = steps / experiment.streams.batches_per_epoch
    train, heldout = experiment.streams.tokens.size, sum(int(batch.mask.sum()) for batch in experiment.heldout) + 1
    bits = ", ".join(f"{name} {value:.3f}" for name, value in experiment.baselines.items())
    print(
        f"{config.name}: {model.cell}, {layers} of {model.hidden_size} units, "
        f"{experiment.learner.parameter_count():,} parameters, on {devices}\n"
        f"text: {corpus.name}, {train:,} {unit}s to train on, {heldout:,} held out, "
        f"vocabulary of {experiment.vocabulary.size}\n"
        f"baselines in bits per {unit} of the held-out text: {bits}\n"
        f"{steps:,} steps of {data.batch_size} x {data.length} {unit}s, {passes:.1f} passes over the text",
        flush=True,
    )


def finish(trainer: Trainer, run_dir: Path) -> Path:
    """Write sample, loss curve and summary of a run that has come to its end, and say how it compares."""
    experiment, config = trainer.experiment, trainer.experiment.config
    assert trainer.value is not None  # The last step is always evaluated.
    text = sample_text(experiment.learner.model(trainer.state), experiment.vocabulary, config.sample, config.seed)
    rows = read_rows(run_dir / "metrics.jsonl")
    summary: dict[str, Any] = {
        "metric": experiment.metric,
        "value": trainer.value,
        "baselines": experiment.baselines,
        "steps": config.train.steps,
        "tokens_per_second": trainer.clock.tokens_per_second,
        "seconds": trainer.clock.seconds,
        "versions": _versions(),
        "parameters": experiment.learner.parameter_count(),
    }
    if config.optimizer.skip_nonfinite:
        summary["skipped_updates"] = skipped_updates(trainer.state.optimizer)
    write_atomically(run_dir / "sample.txt", text + "\n")
    pictures = draw_loss_curve(run_dir, rows, experiment.baselines, name=config.name, unit=experiment.unit)
    write_atomically(run_dir / "summary.json", json.dumps(summary, indent=2) + "\n")
    speed = (
        "" if summary["tokens_per_second"] is None else f" ({summary['tokens_per_second']:,.0f} {experiment.unit}s/s)"
    )
    print(
        f"\nheld out: {trainer.value:.3f} bits per {experiment.unit} after {config.train.steps:,} steps "
        f"in {clock_text(trainer.clock.seconds)}{speed}: {comparison(trainer.value, experiment.baselines)}"
    )
    if summary.get("skipped_updates"):
        print(f"{summary['skipped_updates']} updates were skipped because a gradient was not finite")
    if pictures:
        print(f"loss curve: {pictures[0]}")
    print(f"\n--- sample at temperature {config.sample.temperature:g} ---\n{text}\n---", flush=True)
    return run_dir


def _versions() -> dict[str, str]:
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
    return {
        "python": platform.python_version(),
        "seqjax": seqjax.__version__,
        **{package: metadata.version(package) for package in packages},
        "device": jax.devices()[0].device_kind,
    }
