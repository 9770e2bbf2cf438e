"""A run and its directory: begun, resumed, evaluated and sampled.

config.yaml       the whole configuration       metrics.jsonl    loss and held-out bits, step by step
vocabulary.json   the symbols                   timing.jsonl     seconds and speed at the same steps
checkpoints/STEP  everything to go on from      loss_curve.*     the picture (with matplotlib)
sample.txt        what the model writes         summary.json     the result against the baselines
tensorboard/      events (with tensorboardX)
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax

from seqjax.config import (
    ExperimentConfig,
    LanguageModelExperiment,
    config_from_dict,
    config_to_dict,
    config_to_yaml,
    load_config,
)
from seqjax.data import ContiguousStreams, vocabulary_from_json
from seqjax.errors import CheckpointError, ConfigError, DataError, nearest
from seqjax.parallel import batch_mesh
from seqjax.train.best import selected, with_prefix, with_selected, without_prefix
from seqjax.train.checkpoints import Checkpoints, saved_steps
from seqjax.train.experiment import Experiment
from seqjax.train.files import write_atomically
from seqjax.train.gradients import GradientReport, report
from seqjax.train.learner import Learner, TrainState, from_arrays, to_arrays
from seqjax.train.loop import Trainer
from seqjax.train.reports import finish, print_header
from seqjax.train.tasks import build
from seqjax.train.tasks.language_model import (
    LanguageModelTask,
    encode_prompt,
    language_model_learner,
    sample_text,
)

Config = TypeVar("Config", bound=ExperimentConfig)

# What the state of a run does not depend on; the rest decides shapes, data or random numbers.
_MAY_CHANGE = ("decode", "optimizer", "sample", "train")


def run(config: ExperimentConfig, run_dir: str | Path) -> Path:
    """Train from the beginning.

    Args:
        config: the experiment.
        run_dir: where everything goes; made if it is not there.

    Returns:
        The run directory.

    Raises:
        ConfigError: if the directory holds a run already, or the configuration cannot be used.
        DataError: if the text cannot be used.
        TrainingError: if the loss is not finite.
        KeyboardInterrupt: after Ctrl-C, when a checkpoint is complete; ``SystemExit`` after SIGTERM.

    Example:
        >>> import seqjax, seqjax.config
        >>> config = seqjax.config.load_config("char_lm_small", ["train.steps=100"])
        >>> run_dir = seqjax.train.run(config, "runs/first")  # doctest: +SKIP
    """
    run_dir = Path(run_dir)
    # What was stopped before its first checkpoint has nothing to go on from, and may begin again in its place.
    if (run_dir / "summary.json").exists() or saved_steps(run_dir / "checkpoints"):
        raise ConfigError(
            f"{run_dir} holds a run already; go on with it by `seqjax train --resume {run_dir}`, "
            "or choose another directory"
        )
    config = _with_absolute_source(config)
    _prepare_jax(config)
    experiment = build(config)
    experiment.check_ending()
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        write_atomically(run_dir / "vocabulary.json", json.dumps(experiment.symbols(), ensure_ascii=False))
        write_atomically(run_dir / "config.yaml", config_to_yaml(config))
    except OSError as error:
        raise ConfigError(f"cannot write to {run_dir}: {error.strerror}; choose another directory") from error
    print_header(experiment)
    with Checkpoints(run_dir / "checkpoints", keep=config.train.keep_checkpoints) as checkpoints:
        trainer = Trainer(experiment, run_dir, checkpoints)
        trainer.train()
    return finish(trainer, run_dir)


def resume(run_dir: str | Path, overrides: Sequence[str] = ()) -> Path:
    """Go on with a run from its newest checkpoint that is not damaged; the end is bitwise that of an unbroken run.

    Args:
        run_dir: the run directory.
        overrides: dotted keys and values below ``train``, ``optimizer`` or ``sample``, such as ``train.steps=2000``.

    Returns:
        The run directory.

    Raises:
        CheckpointError: if there is no checkpoint, or it is of another model.
        ConfigError: if an override is wrong or changes what a resumed run cannot change.
        DataError: if the text is not the one that the run began with.
        TrainingError: if the loss is not finite.
        KeyboardInterrupt: after Ctrl-C, when a checkpoint is complete; ``SystemExit`` after SIGTERM.
    """
    run_dir = Path(run_dir)
    before, symbols = _read_run(run_dir)
    config = _with_absolute_source(load_config(run_dir / "config.yaml", overrides))
    _check_changes(config_to_dict(before), config_to_dict(config))
    _prepare_jax(config)
    experiment = build(config, symbols)
    experiment.check_ending()
    with Checkpoints(run_dir / "checkpoints", keep=config.train.keep_checkpoints) as checkpoints:
        restored = checkpoints.restore(_expected(config, experiment.learner.initial_state()))
        if config.train.steps < restored.step:
            raise ConfigError(
                f"train.steps={config.train.steps}, but the run is at step {restored.step}; ask for at least that"
            )
        if restored.record["data_crc32"] != experiment.checksum():
            raise DataError(
                f"{config.data.source} has changed since the run began (it may come with another version of Python), "
                "so the run cannot go on where it was; restore it, or begin a new run"
            )
        write_atomically(run_dir / "config.yaml", config_to_yaml(config))
        print_header(experiment)
        print(f"resumed from {checkpoints.path(restored.step)}", flush=True)
        trainer = Trainer(experiment, run_dir, checkpoints, restored)
        trainer.train()
    return finish(trainer, run_dir)


def evaluate(run_dir: str | Path, step: int | None = None, part: str | None = None) -> dict[str, Any]:
    """Measure a run on held-out data.

    Args:
        run_dir: the run directory.
        step: of the checkpoint; the parameters that count in the end if not given.
        part: of the data, such as ``test``; the part that is measured in training if not given.

    Returns:
        ``metric``, the name of what counts; ``value``; ``results``, all that was measured; ``baselines``, by name;
        ``step``, of the checkpoint.

    Raises:
        CheckpointError: if there is no such checkpoint, or it is damaged or of another model.
        ConfigError: if there is no such part.
        DataError: if the data is missing or has symbols that the vocabulary does not have.
    """
    experiment, state, step = restored_run(Path(run_dir), step)
    first = experiment.parts[0]
    if part is not None and part not in experiment.parts:
        raise ConfigError(f"a {experiment.config.task} has no part {part!r}; {nearest(part, experiment.parts)}")
    results = experiment.evaluate(state, lambda number, batches: None, part)
    metric = experiment.metric if part is None else experiment.metric.replace(first, part, 1)
    return {
        "metric": metric,
        "value": results[metric],
        "results": results,
        "baselines": dict(experiment.baselines),
        "step": step,
    }


def sample(
    run_dir: str | Path,
    *,
    prompt: str | None = None,
    length: int | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    seed: int | None = None,
    step: int | None = None,
) -> str:
    """Let the model of a run go on with a prompt; what is not given is as in the run's configuration.

    Args:
        run_dir: the run directory.
        prompt: what the text begins with.
        length: number of symbols to draw.
        temperature: 0 takes the most probable symbol, 1 samples from the model as it is.
        top_k: draw only from so many most probable symbols.
        top_p: draw only from the fewest symbols that together have at least this probability.
        min_p: draw only from symbols at least this times as probable as the most probable one.
        seed: of the draws.
        step: of the checkpoint; the newest if not given.

    Returns:
        The prompt and what follows it.

    Raises:
        CheckpointError: if there is no such checkpoint, or it is damaged or of another model.
        ConfigError: if one of the numbers is out of range.
        DataError: if the prompt is empty or has a character that the vocabulary does not have.
    """
    config, symbols = _read_run(Path(run_dir))
    if not isinstance(config, LanguageModelExperiment):
        raise ConfigError(f"{run_dir} is a run of the task {config.task}; only a language_model goes on with a prompt")
    vocabulary = vocabulary_from_json(symbols)
    given = {
        "prompt": prompt,
        "length": length,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
    }
    values = config_to_dict(config)
    values["sample"] |= {name: value for name, value in given.items() if value is not None}
    changed = config_from_dict(values)
    assert isinstance(changed, LanguageModelExperiment)
    wanted = changed.sample
    encode_prompt(vocabulary, wanted.prompt)
    config = _on_one_device(config)
    _prepare_jax(config)
    learner = language_model_learner(config, vocabulary.size)
    state, _ = _restored(config, learner, Path(run_dir), step)
    return sample_text(learner.model(state), vocabulary, wanted, config.seed if seed is None else seed)


def measure_gradients(
    source: ExperimentConfig | str | Path,
    *,
    overrides: Sequence[str] = (),
    length: int | None = None,
    batch: int = 4,
    step: int | None = None,
) -> GradientReport:
    """Measure how gradients flow through a model, on a batch of the text that it is trained on.

    Args:
        source: a configuration, whose model has its initial parameters; or the directory of a run.
        overrides: of a run's configuration, as for :func:`resume`.
        length: time steps; twice the truncation length of the training if not given, at most 256 or that length.
        batch: number of sequences.
        step: of a run's checkpoint; the newest if not given.

    Raises:
        CheckpointError: if there is no such checkpoint, or it is damaged or of another model.
        ConfigError: if an override is wrong or changes the model or its data.
        DataError: if the text is missing or too short, or there is a single time step.
        TrainingError: if parameters or gradients are not finite.
    """
    symbols = None
    if isinstance(source, ExperimentConfig):
        name, config = source.name, source
    else:
        name = Path(source).name
        before, symbols = _read_run(Path(source))
        config = load_config(Path(source) / "config.yaml", overrides)
        _check_changes(config_to_dict(before), config_to_dict(config))
    if not isinstance(config, LanguageModelExperiment):
        raise ConfigError(
            f"{name} is of the task {config.task}; gradient flow is measured for the task language_model (for a model "
            "of your own, call seqjax.analysis with seqjax.nn.step_of)"
        )
    config = _on_one_device(config)
    _prepare_jax(config)
    experiment = LanguageModelTask(config, symbols)
    state, at = experiment.learner.initial_state(), 0
    if not isinstance(source, ExperimentConfig):
        state, at = _restored(config, experiment.learner, Path(source), step)
    own = config.data.length
    length = max(own, min(2 * own, 256)) if length is None else length
    streams = ContiguousStreams(experiment.streams.tokens, batch, length, config.seed)
    window = streams[0]
    return report(experiment.learner.model(state), window.inputs, window.targets, name=name, step=at, own_length=own)


def restored_run(
    run_dir: Path,
    step: int | None = None,
    change: Callable[[ExperimentConfig], ExperimentConfig] = lambda config: config,
) -> tuple[Experiment, TrainState, int]:
    """A run to be looked at.

    Args:
        run_dir: the run directory.
        step: of the checkpoint; the parameters that count in the end if not given.
        change: what is to be other than in the run's configuration, and does not change the model.

    Returns:
        The experiment, on one device; the state; the step that it is of.

    Raises:
        CheckpointError: if there is no such checkpoint, or it is damaged or of another model.
        DataError: if the data is missing or has symbols that the vocabulary does not have.
    """
    config, symbols = _read_run(run_dir)
    config = change(_on_one_device(config))
    _prepare_jax(config)
    experiment = build(config, symbols)
    return experiment, *_restored(config, experiment.learner, run_dir, step)


def _expected(config: ExperimentConfig, state: TrainState) -> dict[str, Any]:
    """Names, shapes and types of a checkpoint of this configuration."""
    arrays = to_arrays(state)
    return arrays | with_prefix(selected(state)) if config.train.select == "best" else arrays


def _restored(config: ExperimentConfig, learner: Learner, run_dir: Path, step: int | None) -> tuple[TrainState, int]:
    """The state of a step, or that whose parameters count in the end."""
    initial = learner.initial_state()
    with Checkpoints(run_dir / "checkpoints", read_only=True) as checkpoints:
        restored = checkpoints.restore(_expected(config, initial), step)
    state = from_arrays(initial, restored.arrays)
    if step is None and config.train.select == "best":
        return with_selected(state, without_prefix(restored.arrays)), restored.record["best"]["step"]
    return state, restored.step


def _read_run(run_dir: Path) -> tuple[ExperimentConfig, dict[str, Any]]:
    for name in ("config.yaml", "vocabulary.json", "checkpoints"):
        if not (run_dir / name).exists():
            raise CheckpointError(f"{run_dir} holds no run: there is no {name} in it; give the directory of a run")
    try:
        content = json.loads((run_dir / "vocabulary.json").read_text())
    except ValueError:
        raise DataError(f"{run_dir / 'vocabulary.json'} is not JSON; restore it from a copy of the run") from None
    return load_config(run_dir / "config.yaml"), content


def _with_absolute_source(config: Config) -> Config:
    """A file is found again from any working directory."""
    path = Path(config.data.source).expanduser()
    if not path.is_file():
        return config
    return dataclasses.replace(config, data=dataclasses.replace(config.data, source=str(path.absolute())))


def _check_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    messages = [
        f"{key} - cannot change in a resumed run (got {new!r}, the run has {old!r}); begin a new run"
        for key, old, new in _differences(before, after)
        if key.partition(".")[0] not in _MAY_CHANGE
    ]
    if messages:
        raise ConfigError("\n".join(messages))


def _differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"{prefix}{key}", old, new


def _on_one_device(config: Config) -> Config:
    """What was trained on many devices can be looked at on a machine with one."""
    return dataclasses.replace(config, train=dataclasses.replace(config.train, devices=1))


def _prepare_jax(config: ExperimentConfig) -> None:
    """Set what has to be set before JAX is first used, and what has to be before it compiles.

    Raises:
        ConfigError: if there are fewer devices than asked for.
    """
    devices = config.train.devices
    if devices > 1:
        if devices > jax.config.values["jax_num_cpu_devices"]:
            # JAX refuses once it is in use; whether it has enough devices then is seen below.
            with contextlib.suppress(RuntimeError):
                jax.config.update("jax_num_cpu_devices", devices)
        try:
            batch_mesh(devices)
        except ValueError as error:
            raise ConfigError(f"train.devices - {error}") from None
    if config.train.compilation_cache is not None:
        jax.config.update(
            "jax_compilation_cache_dir", str(Path(config.train.compilation_cache).expanduser().absolute())
        )
        # The defaults keep only programs that took a second to compile.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
