"""``seqjax compare``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqjax.cli.parser import Arguments, Parser, columns, require_plots, size
from seqjax.config import cell_names, check_cell, parse_overrides
from seqjax.data import TASKS
from seqjax.errors import ConfigError, nearest

if TYPE_CHECKING:
    from seqjax.comparison import Comparison, Outcome

_DESCRIPTION = """\
Train cells on small tasks, all with the same number of parameters and on the same data, each from several seeds, and
show what they reach beside causal convolutions and beside what can be reached without memory."""

_EXAMPLE = """\
seqjax compare --cells LSTM,GRU,Elman --tasks adding,copy
seqjax compare --cells LSTM LSTM:forget_bias=0 --tasks parity --learning-rates 0.003,0.01
seqjax compare --tasks all --seeds 5 --json compare.json --plot compare.png"""

_CELLS = ("LSTM", "GRU", "Elman")
_BASELINE = "convolution"


def add_commands(commands: Any) -> None:
    """Add the parser of this file's command."""
    compare: Parser = commands.add_parser(
        "compare", help="train cells on small tasks and compare them", description=_DESCRIPTION, example=_EXAMPLE
    )
    for option, metavar, default, text in (
        ("--cells", "CELL", _CELLS, "names that `seqjax cells` lists, options after a colon: GRU:reset=before"),
        ("--tasks", "TASK", ("adding",), f"{' '.join(TASKS)}, or all"),
    ):
        shown = " ".join(default)
        compare.add_argument(option, metavar=metavar, nargs="+", default=default, help=f"{text} (default: {shown})")
    for option, default, text in (
        ("--parameters", 5000, "parameters of every model, read-out included"),
        ("--steps", 1000, "updates"),
        ("--seeds", 5, "times that each model is trained"),
        ("--batch-size", 32, "sequences in an update"),
    ):
        compare.add_argument(option, metavar="N", type=size, default=default, help=f"{text} (default: {default})")
    compare.add_argument(
        "--learning-rates",
        metavar="RATE",
        nargs="+",
        default=("0.005",),
        help="of Adam; the best one on validation data counts (default: 0.005)",
    )
    compare.add_argument("--json", metavar="FILE", type=Path, help="write everything that was found")
    compare.add_argument("--plot", metavar="FILE", type=Path, help="draw it, as PNG, SVG or PDF by its name")
    compare.set_defaults(run=_compare)


def _compare(arguments: Arguments) -> None:
    models = [_model(text) for text in _listed(arguments.cells)]
    tasks = _tasks(_listed(arguments.tasks))
    rates = tuple(_rate(text) for text in _listed(arguments.learning_rates))
    _check_files(arguments)
    from seqjax import comparison
    from seqjax.bench.machine import machine

    settings = comparison.Settings(
        parameters=arguments.parameters,
        steps=arguments.steps,
        seeds=arguments.seeds,
        batch_size=arguments.batch_size,
        learning_rates=rates,
    )
    progress = (_Bars if sys.stderr.isatty() else _Lines)()

    def finished(so_far: "Comparison") -> None:
        progress.finished(so_far.outcomes[-1])
        # What was found before an interruption is kept.
        if arguments.json is not None:
            record = so_far.to_dict() | {"machine": vars(machine())}
            arguments.json.write_text(json.dumps(record, indent=1) + "\n", "utf-8")

    try:
        found = comparison.compare(models, tasks, settings, finished=finished, advanced=progress.advanced)
    finally:
        progress.close()
    print(text_of(found))
    if arguments.plot is not None:
        comparison.draw(found, arguments.plot)


def text_of(found: "Comparison") -> str:
    """The table, the sizes, and how it was measured."""
    from seqjax.comparison import table

    rows = table(found)
    sizes = [("", "parameters", "hidden units")]
    for model in found.models:
        outcomes = [outcome for outcome in found.outcomes if outcome.model == model]
        sizes.append((model, *(_range([getattr(o, field) for o in outcomes]) for field in ("parameters", "width"))))
    settings = found.settings
    return "\n".join(
        [
            columns(rows, right=tuple(range(1, len(rows[0])))),
            "",
            columns(sizes, right=(1, 2)),
            "",
            f"mean ± standard error of the mean over {settings['seeds']} seeds, after {settings['steps']} updates of "
            f"{settings['batch_size']} sequences; Adam, learning rate "
            f"{' or '.join(f'{rate:g}' for rate in settings['learning_rates'])}, "
            f"gradients clipped to norm {settings['clip']:g}",
            *(
                f"{name}: {task['asks']}; without memory: {task['without_memory']}"
                for name, task in found.tasks.items()
            ),
        ]
    )


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _listed(texts: list[str]) -> list[str]:
    """Words, with commas or spaces between them; a comma before ``key=value`` goes on with a cell's options."""
    words: list[str] = []
    for word in (word for text in texts for word in text.split(",") if word):
        if "=" in word and ":" not in word and words:
            words[-1] += f",{word}"
        else:
            words.append(word)
    return words


def _model(text: str) -> tuple[str, dict[str, Any]]:
    name, _, settings = text.partition(":")
    options = parse_overrides(settings.split(",") if settings else [])
    if name == _BASELINE:
        return name, options
    if name not in cell_names():
        raise ConfigError(f"--cells: there is no cell '{name}'; {nearest(name, [_BASELINE, *cell_names()])}")
    if messages := check_cell(name, options, options_at=f"--cells {name}:"):
        raise ConfigError("\n".join(messages))
    return name, options


def _tasks(names: list[str]) -> list[str]:
    if names == ["all"]:
        return list(TASKS)
    for name in names:
        if name not in TASKS:
            raise ConfigError(f"--tasks: there is no task '{name}'; {nearest(name, ['all', *TASKS])}")
    return names


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ConfigError(f"--learning-rates: a positive number such as 0.005 is expected, got '{text}'")
    return value


def _check_files(arguments: Arguments) -> None:
    """What would fail after everything has been trained."""
    for option, path in (("--json", arguments.json), ("--plot", arguments.plot)):
        if path is not None and not path.parent.is_dir():
            raise ConfigError(f"{option}: there is no directory {path.parent}; make it first")
    if arguments.plot is not None:
        if arguments.plot.suffix.lower() not in (".png", ".svg", ".pdf"):
            raise ConfigError(f"--plot: a file that ends in .png, .svg or .pdf is expected, got {arguments.plot}")
        require_plots()


class _Lines:
    """A line for each model that is done, where there is no terminal."""

    def advanced(self, task: str, model: str, step: int, steps: int) -> None:
        pass

    def finished(self, outcome: "Outcome") -> None:
        print(
            f"{outcome.task}  {outcome.model}  {outcome.text()}  {outcome.seconds:.0f} s", file=sys.stderr, flush=True
        )

    def close(self) -> None:
        pass


class _Bars:
    """A bar for each model on each task."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[reached]}"),
            console=Console(stderr=True),
        )
        self._tasks: dict[tuple[str, str], Any] = {}
        self._bars.start()

    def advanced(self, task: str, model: str, step: int, steps: int) -> None:
        if (task, model) not in self._tasks:
            self._tasks[task, model] = self._bars.add_task(f"{task}  {model}", total=steps, reached="")
        self._bars.update(self._tasks[task, model], completed=step)

    def finished(self, outcome: "Outcome") -> None:
        self._bars.update(self._tasks[outcome.task, outcome.model], reached=outcome.text())

    def close(self) -> None:
        self._bars.stop()
