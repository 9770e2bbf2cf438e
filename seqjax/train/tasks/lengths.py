"""What is done with records over the maximum length."""

from typing import Any

from seqjax.data import Records, SequencesConfig
from seqjax.data.lengths import limit


def over_maximum(sequences: Any, config: SequencesConfig) -> list[int]:
    """Which sequences are longer than ``config.maximum_length``."""
    if config.maximum_length is None:
        return []
    return [index for index, sequence in enumerate(sequences) if len(sequence) > config.maximum_length]


def limited(sequences: Any, config: SequencesConfig, records: Records, what: str) -> Any:
    """Sequences of at most ``config.maximum_length``, one a record.

    Args:
        sequences: one a record.
        config: with ``longer``, which refuses or truncates.
        records: for their names.
        what: the sequences are, such as ``input``.

    Raises:
        DataError: there are longer ones, and they are refused.
    """
    return limit(sequences, config.maximum_length, config.longer, what=what, names=records.names)[0]
