"""``seqjax cures``."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqjax.cli.parser import Arguments, Parser, columns, positive, require_plots, size
from seqjax.data import make_task
from seqjax.errors import ConfigError

if TYPE_CHECKING:
    from seqjax.comparison import Cured, Cures

_DESCRIPTION = """\
Compare what is done against vanishing and exploding gradients: initialisation, activation, normalisation, residual
connections, gating, clipping, truncation, optimiser. Each differs in one thing from a tanh Elman network; all are
measured alike: gradient flow before and after a short training, and what the training reaches."""

_EXAMPLE = """\
seqjax cures
seqjax cures --task recall --kinds gating,clipping --json cures.json --plot cures.png
seqjax cures --length 200 --kinds gating IRNN --steps 2000 --learning-rates 0.001 0.01
seqjax cures --quick"""

_TASKS = ("adding", "recall")
_QUICK = {"length": 10, "steps": 20, "seeds": 1, "units": 8}
_FULL = {"length": 40, "steps": 400, "seeds": 2, "units": 32}


def add_commands(commands: Any) -> None:
    """Add the parser of this file's command."""
    cures: Parser = commands.add_parser(
        "cures", help="compare what helps gradients through time", description=_DESCRIPTION, example=_EXAMPLE
    )
    cures.add_argument(
        "--task", metavar="TASK", choices=_TASKS, default="adding", help="adding or recall (default: adding)"
    )
    cures.add_argument(
        "--kinds", metavar="KIND", nargs="+", help="which kinds of cures, or single ones by name (default: all)"
    )
    cures.add_argument(
        "--learning-rates",
        metavar="RATE",
        nargs="+",
        type=positive,
        help="the best one on validation data counts (default: three for each optimiser)",
    )
    for option, text in (
        ("--length", "time steps of a sequence (default: 40)"),
        ("--steps", "updates (default: 400)"),
        ("--seeds", "times that each is trained (default: 2)"),
        ("--units", "hidden units of every layer (default: 32)"),
    ):
        cures.add_argument(option, metavar="N", type=size, help=text)
    cures.add_argument(
        "--quick",
        action="store_true",
        help="small sizes, to see that everything works; what is left is mostly compilation",
    )
    cures.add_argument("--json", metavar="FILE", type=Path, help="write everything that was found")
    cures.add_argument("--plot", metavar="FILE", type=Path, help="draw it, as PNG and SVG beside each other, with JSON")
    cures.set_defaults(run=_cures)


def _cures(arguments: Arguments) -> None:
    _check_files(arguments)
    usual = _QUICK if arguments.quick else _FULL
    chosen = {
        name: default if getattr(arguments, name) is None else getattr(arguments, name)
        for name, default in usual.items()
    }
    options = {"lag": min(10, chosen["length"] - 1)} if arguments.task == "recall" else {}
    if chosen["length"] < 2:
        raise ConfigError("--length: gradients through time need at least 2 time steps (got 1)")
    task = make_task(arguments.task, length=chosen["length"], **options)
    from seqjax import comparison

    groups = comparison.GROUPS
    if arguments.kinds is not None:
        groups = [kind for text in arguments.kinds for kind in text.split(",") if kind]
    found = comparison.compare_cures(
        task,
        comparison.Settings(steps=chosen["steps"], seeds=chosen["seeds"], examples=500),
        units=chosen["units"],
        groups=groups,
        rates=arguments.learning_rates and tuple(arguments.learning_rates),
        finished=_say,
    )
    print(text_of(found))
    if arguments.json is not None or arguments.plot is not None:
        from seqjax.analysis import plots

        numbers = plots.plain(found.to_dict())
        if arguments.json is not None:
            arguments.json.write_text(json.dumps(numbers, indent=1) + "\n", "utf-8")
        if arguments.plot is not None:
            plots.save(comparison.cures_figure(found), arguments.plot, numbers)


def text_of(found: "Cures") -> str:
    """The table, and how it was measured."""
    from seqjax.comparison import cure_table

    settings = found.settings
    seeds = "1 seed" if settings["seeds"] == 1 else f"{settings['seeds']} seeds"
    rates = settings["learning_rates"]
    tried = "three learning rates" if rates is None else f"learning rate {' or '.join(f'{rate:g}' for rate in rates)}"
    return "\n".join(
        [
            columns(cure_table(found), right=(3, 4, 6, 7)),
            "",
            f"{found.task}: {found.asks}; {found.time_steps} steps, {found.units} units, {settings['steps']} updates "
            f"of {settings['batch_size']} sequences, {seeds}; {tried}, the best on validation data",
            "half-life: steps in which the norm of the gradient halves (-: it does not shrink); left: its norm at the "
            "largest lag over that at the first",
        ]
    )


def _say(cured: "Cured") -> None:
    print(f"{cured.group}: {cured.name}  {cured.mean:.4f}  {cured.seconds:.0f} s", file=sys.stderr, flush=True)


def _check_files(arguments: Arguments) -> None:
    """What would fail after everything has been trained."""
    for option, path in (("--json", arguments.json), ("--plot", arguments.plot)):
        if path is not None and not path.parent.is_dir():
            raise ConfigError(f"{option}: there is no directory {path.parent}; make it first")
    if arguments.plot is not None:
        require_plots()
