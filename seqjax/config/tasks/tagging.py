"""The schema of a labelling of every token."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from seqjax.config.schema import ExperimentConfig, LayersConfig
from seqjax.data import SequencesConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class CharactersConfig(LayersConfig):
    """A bidirectional reader of each word's characters.

    Attributes:
        embedding_size: features of a character's embedding.
        maximum_length: characters of a word that are read; of longer words the middle is left out.
    """

    hidden_size: Annotated[int, Field(gt=0)] = 32
    embedding_size: Annotated[int, Field(gt=0)] = 16
    maximum_length: Annotated[int, Field(gt=1)] = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggingModelConfig(LayersConfig):
    """Embedding, recurrent layers, and a linear head at every token.

    Attributes:
        embedding_size: features of a token's embedding; one-hot if not given.
        bidirectional: read the sequence from both ends.
        characters: also read the characters of each word; not if not given.
        pooling: what the class of the whole sequence is read from, where there is one (``labels`` of the data, such as
            intents): the ``last`` output (of both directions), the ``mean`` or ``max`` of all, or their sum weighted by
            ``attention``.
    """

    embedding_size: Annotated[int, Field(gt=0)] | None = 100
    bidirectional: bool = True
    characters: CharactersConfig | None = None
    pooling: Literal["last", "mean", "max", "attention"] = "last"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggingExperiment(ExperimentConfig):
    """Learn the tag of every token, and the class of the whole where the data has one.

    Attributes:
        task: the tag of every token.
        data: sequences of tokens and of tags.
        metric: what counts: ``accuracy`` of tags, or ``span_f1`` of the spans that tags ``B-type`` and ``I-type`` mark.
        ignored_tag: steps of this tag do not count, in learning or in measures.
        label_weight: how much the loss of the whole sequence's class weighs beside that of one token's tag, where there
            is a class.
        label_smoothing: share of each target that is spread over all tags (Szegedy et al. 2016).
    """

    task: Literal["tagging"] = "tagging"
    data: SequencesConfig = dataclasses.field(default_factory=SequencesConfig)
    model: TaggingModelConfig = dataclasses.field(default_factory=TaggingModelConfig)
    metric: Literal["accuracy", "span_f1"] = "accuracy"
    ignored_tag: str | None = None
    label_weight: Annotated[float, Field(ge=0)] = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.data.check_tokens("every token has a tag of its own, and its pieces have none")
