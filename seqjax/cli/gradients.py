"""``seqjax gradients``."""

import json
from pathlib import Path
from typing import Any

from seqjax.cli.parser import Arguments, Parser, require_plots, size, whole_number
from seqjax.config import load_config, named_configs
from seqjax.errors import ConfigError

_DESCRIPTION = """\
Measure how gradients flow back through time in a model, on its own data: how fast they vanish or explode, layer by
layer; the spectral radius of recurrent kernels; what the gates do; and what truncation loses. A config is measured at
its initial parameters, a run at its newest checkpoint."""

_EXAMPLE = """\
seqjax gradients char_lm_small
seqjax gradients char_lm model.cell=Elman --length 256
seqjax gradients runs/first --checkpoint 500 --json gradients.json --plot pictures"""


def add_commands(commands: Any) -> None:
    """Add the parser of this file's command."""
    gradients: Parser = commands.add_parser(
        "gradients", help="measure how gradients flow through a model", description=_DESCRIPTION, example=_EXAMPLE
    )
    gradients.add_argument(
        "source", metavar="CONFIG|RUN", help="a YAML file, a name that `seqjax configs` lists, or a run directory"
    )
    gradients.add_argument("settings", metavar="KEY=VALUE", nargs="*", help="changes to the config")
    gradients.add_argument(
        "--length", metavar="N", type=size, help="time steps (default: twice data.length, up to 256)"
    )
    gradients.add_argument("--batch", metavar="N", type=size, default=4, help="sequences (default: 4)")
    gradients.add_argument(
        "--checkpoint", metavar="STEP", type=whole_number, help="of a run, of this step (default: the newest)"
    )
    gradients.add_argument("--json", metavar="FILE", type=Path, help="write the numbers")
    gradients.add_argument("--plot", metavar="FOLDER", type=Path, help="draw them, as PNG and SVG, with JSON beside")
    gradients.set_defaults(run=_gradients)


def _gradients(arguments: Arguments) -> None:
    if arguments.length == 1:
        raise ConfigError("--length: gradients through time need at least 2 time steps (got 1)")
    check_outputs(arguments)
    directory = Path(arguments.source)
    if directory.is_dir() and arguments.source not in named_configs():
        from seqjax.train import measure_gradients

        options = {"step": arguments.checkpoint, "overrides": arguments.settings}
        found = measure_gradients(directory, length=arguments.length, batch=arguments.batch, **options)
    else:
        if arguments.checkpoint is not None:
            raise ConfigError(f"--checkpoint is for a run, and {arguments.source} is a config; leave it out")
        config = load_config(arguments.source, arguments.settings)
        from seqjax.train import measure_gradients

        found = measure_gradients(config, length=arguments.length, batch=arguments.batch)
    print(found)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found.to_dict(), indent=1) + "\n", "utf-8")
    if arguments.plot is not None:
        pictures = [path for path in found.draw(arguments.plot) if path.suffix == ".png"]
        print(f"\n{len(pictures)} pictures in {arguments.plot}: {', '.join(path.name for path in pictures)}")


def check_outputs(arguments: Arguments) -> None:
    """What would fail after everything has been measured."""
    if arguments.json is not None and not arguments.json.parent.is_dir():
        raise ConfigError(f"--json: there is no directory {arguments.json.parent}; make it first")
    if arguments.plot is not None:
        if arguments.plot.exists() and not arguments.plot.is_dir():
            raise ConfigError(f"--plot: {arguments.plot} is a file; give a folder for the pictures")
        require_plots()
