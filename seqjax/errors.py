"""Errors whose message is meant for the person at the keyboard: one line, what was got, what was expected, what to do.

The command line prints the message and exits with ``exit_code``; as a library the same errors are ordinary exceptions.
"""


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
