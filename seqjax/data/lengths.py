"""Sequences that are longer than they may be."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from seqjax.errors import DataError

Longer = Literal["refuse", "truncate"]


def limit(
    sequences: Sequence[Any] | np.ndarray,
    maximum: int | None,
    longer: Longer = "refuse",
    *,
    what: str = "sequence",
    names: Sequence[str] | None = None,
) -> tuple[Sequence[Any] | np.ndarray, int]:
    """Sequences of at most ``maximum`` steps, and how many had more and are truncated.

    Args:
        sequences: lists, strings or arrays ``[time, ...]``.
        maximum: steps; no limit if None.
        longer: what to do with those that have more.
        what: how messages call a sequence.
        names: how messages call each record.

    Raises:
        DataError: there are longer ones, and they are refused; or another value of ``longer``.

    Example:
        >>> limit(["jump", "turn left"], 4, "truncate")
        (['jump', 'turn'], 1)
    """
    if longer not in ("refuse", "truncate"):
        raise DataError(f"sequences over the maximum can be 'refuse'd or 'truncate'd, got {longer!r}")
    over = [] if maximum is None else [index for index, each in enumerate(sequences) if len(each) > maximum]
    if not over:
        return sequences, 0
    if longer == "refuse":
        name = f"record {over[0]}" if names is None else names[over[0]]
        others = f" (and {len(over) - 1:,} more are too long)" if len(over) > 1 else ""
        raise DataError(
            f"{name}: {what} of {len(sequences[over[0]]):,} steps, over the maximum of {maximum:,}{others}; "
            "raise the maximum, or truncate what is longer"
        )
    return [each[:maximum] for each in sequences], len(over)
