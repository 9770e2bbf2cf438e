"""The schemas of data sets."""

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import Field

from seqjax.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextConfig:
    """A text, its symbols, and how it is cut into batches of contiguous streams.

    Attributes:
        source: ``python-reference`` (ships with Python), ``tiny-shakespeare`` (from the data root), or the path of a
            text file.
        vocabulary: one symbol a character, or one a byte of UTF-8.
        batch_size: number of streams read side by side.
        length: time steps between two truncations of back-propagation through time.
        heldout_fraction: share of a text file that is held out, from its end; the named sources bring their own split.
        root: the data root; the environment variable ``SEQJAX_DATA`` if not given.
    """

    source: str = "python-reference"
    vocabulary: Literal["character", "byte"] = "character"
    batch_size: Annotated[int, Field(gt=0)] = 32
    length: Annotated[int, Field(gt=0)] = 128
    heldout_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    root: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequencesConfig:
    """Sequences with targets, and how they are put into batches.

    Attributes:
        source: a data set that ``seqjax data`` lists.
        options: further arguments of the source, such as ``{split: length}``.
        batch_size: sequences of a batch.
        shapes: at most so many lengths that sequences are padded to, each of which is compiled once; more of them waste
            less.
        maximum_length: of inputs, and of targets that are sequences, in steps or tokens of the data; no limit if not
            given.
        longer: ``refuse`` sequences over the maximum, or ``truncate`` them and say how many. Held-out targets with
            steps of their own stay whole: what is said is measured against all of them.
        vocabulary: what a model reads and writes: the ``tokens`` of the data (words, characters, phones), or pieces of
            their text that no text has an unknown one for, ``bytes`` or frequent ``byte_pairs``, where no step of the
            data has a target of its own.
        vocabulary_size: of byte pairs at most.
        minimum_count: tokens that are rarer in the training part are unknown.
        token_dropout: share of the inputs' tokens that training reads as unknown, others in every batch (Iyyer et al.
            2015): what is unknown later is then no news to the model, and no single token decides.
        limit: at most so many sequences of each part, to try something out; all of them if not given.
        root: the data root; the environment variable ``SEQJAX_DATA`` if not given.
    """

    source: str = "reversal"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    batch_size: Annotated[int, Field(gt=0)] = 32
    shapes: Annotated[int, Field(gt=0)] = 4
    maximum_length: Annotated[int, Field(gt=0)] | None = None
    longer: Literal["refuse", "truncate"] = "refuse"
    vocabulary: Literal["tokens", "bytes", "byte_pairs"] = "tokens"
    vocabulary_size: Annotated[int, Field(gt=256)] = 1000
    minimum_count: Annotated[int, Field(gt=0)] = 1
    token_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    limit: Annotated[int, Field(gt=0)] | None = None
    root: str | None = None

    def check_tokens(self, why: str) -> None:
        """For schemas of tasks that cannot cut tokens into pieces.

        Raises:
            ConfigError: the vocabulary is one of pieces.
        """
        if self.vocabulary != "tokens":
            raise ConfigError(f"data.vocabulary={self.vocabulary} - {why}; set it to tokens")
