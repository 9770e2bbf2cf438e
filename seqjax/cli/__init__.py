"""The command line. Nothing here imports JAX before a command needs it, so help and errors come at once."""

import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata

from seqjax._version import __version__
from seqjax.cli import bench, cells, compare, configs, cures, data, decode, gradients, laws, new_cell, runs, transforms
from seqjax.cli.parser import Arguments, Parser
from seqjax.errors import ConfigError, SeqjaxError, closest, nearest

_DESCRIPTION = """\
Recurrent networks in JAX: train a model, measure it, let it write, and look at the cells it is made of."""

_FIRST_STEPS = """\
first steps:
  seqjax train char_lm_small            train a small model of English in seconds
  seqjax sample runs/... --prompt "A "  let it write
  seqjax train char_lm                  the real thing, in minutes
  seqjax configs                        what else there is to train

seqjax COMMAND --help says more about a command, with an example."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 2 for what is wrong with a command or config, 1 for the rest."""
    try:
        arguments = _parse(sys.argv[1:] if argv is None else list(argv))
        arguments.run(arguments)
        sys.stdout.flush()
    except SeqjaxError as error:
        print(_error_text(error), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; Python would complain at exit when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


def _parse(argv: list[str]) -> Arguments:
    parser = Parser(prog="seqjax", description=_DESCRIPTION, epilog=_FIRST_STEPS)
    parser.add_argument(
        "--version", action="version", version=_version(), help="print the versions that matter and exit"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=False)
    for module in (runs, decode, configs, data, cells, transforms, laws, new_cell, gradients, cures, compare, bench):
        module.add_commands(commands)
    first = next((argument for argument in argv if not argument.startswith("-")), None)
    if first is not None and first not in commands.choices:
        raise ConfigError(f"there is no command '{first}'; {nearest(first, list(commands.choices))}")
    arguments, extra = parser.parse_known_args(argv, Arguments())
    if first is None and not extra:
        arguments.run = lambda _: parser.print_help()
        return arguments
    used = commands.choices[first] if first is not None else parser
    _take(extra, arguments, used)
    return arguments


def _take(extra: list[str], arguments: Arguments, used: Parser) -> None:
    """Settings may also stand after options, where argparse leaves them over."""
    takes_settings = hasattr(arguments, "settings")
    for argument in extra:
        if argument.startswith("-"):
            options = [option for option in used._option_string_actions if option.startswith("--")]
            hint = nearest(argument.partition("=")[0], options)
            if takes_settings and closest(argument, options) is None:
                hint = "settings are written key=value, as in model.hidden_size=512"
            raise ConfigError(f"{used.prog} has no option {argument}; {hint}")
        if not takes_settings:
            raise ConfigError(f"{used.prog} does not take '{argument}'; `{used.prog} --help` shows what it does take")
    if takes_settings:
        arguments.settings = [*arguments.settings, *extra]


def _error_text(error: SeqjaxError) -> str:
    # A line that is indented goes on with the one before.
    lines = str(error).splitlines() or [type(error).__name__]
    return "\n".join(line if line.startswith(" ") else f"error: {line}" for line in lines)


def _version() -> str:
    packages = []
    for package in ("jax", "flax", "optax"):
        try:
            packages.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            packages.append(f"no {package}")
    return f"seqjax {__version__} (Python {platform.python_version()}, {', '.join(packages)})"
