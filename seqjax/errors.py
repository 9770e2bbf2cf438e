"""Errors whose message is meant for the person at the keyboard: one line, what was got, what was expected, what to do.

The command line prints the message and exits with ``exit_code``; as a library the same errors are ordinary exceptions.
"""

import difflib
import importlib
from collections.abc import Sequence
from typing import Any


class SeqjaxError(Exception):
    """Something that the user can mend."""

    exit_code = 1


class ConfigError(SeqjaxError, ValueError):
    """A configuration that cannot be used: unknown keys, wrong types, values out of range."""

    exit_code = 2


class DataError(SeqjaxError, ValueError):
    """Data that is missing, damaged, empty, or of another vocabulary than expected."""


class CheckpointError(SeqjaxError):
    """A checkpoint that is missing, damaged, or of another model."""


class TrainingError(SeqjaxError):
    """Training that cannot go on, such as a loss that is not finite."""


class MissingExtra(SeqjaxError, ImportError):
    """An optional package that is not installed."""


def require(module: str, extra: str, purpose: str) -> Any:
    """An optional package, imported.

    Args:
        module: its name.
        extra: of seqjax that brings it.
        purpose: what it is needed for, after its name: "draws pictures".

    Raises:
        MissingExtra: it is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(f"{module} {purpose} and is not installed; pip install 'seqjax[{extra}]'") from error


def closest(word: str, known: Sequence[str]) -> str | None:
    """The known word that a misspelt one probably stands for, if any comes near."""
    by_lower_case = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower_case, n=1)
    if not close and len(word) >= 3:
        close = sorted((name for name in by_lower_case if word.lower() in name), key=len)
    return by_lower_case[close[0]] if close else None


def nearest(word: str, known: Sequence[str]) -> str:
    """The hint after a misspelt word: what was probably meant, or all that is known."""
    close = closest(word, known)
    if close is not None:
        return f"did you mean '{close}'?"
    return f"known are {', '.join(known)}" if known else "there are none"


def shown(value: Any) -> str:
    """A value as it would stand in a config, cut where it is long."""
    text = {None: "null", True: "true", False: "false"}[value] if isinstance(value, bool | None) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
