"""The schema of sequence to sequence: translation, transduction, autoencoders."""

import dataclasses
from typing import Annotated, Literal

from pydantic import Field

from seqjax.config.schema import ExperimentConfig, LayersConfig
from seqjax.data import SequencesConfig
from seqjax.errors import ConfigError


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequenceToSequenceModelConfig(LayersConfig):
    """An encoder and a decoder, each of the layers that this section describes, and attention between them.

    Attributes:
        embedding_size: features of a token's embedding on both sides; one-hot if not given.
        bidirectional: the encoder reads from both ends.
        attention: how the decoder looks at the encoder's outputs: ``additive`` (Bahdanau), ``dot``, ``general`` and
            ``scaled_dot`` (Luong), ``coverage``, ``location``, ``monotonic``; ``null`` for none.
        query: attend with the decoder's ``current`` state (Luong), or the ``previous`` one and feed the context to the
            layers (Bahdanau).
        input_feeding: feed the attentional vector of each step to the next.
        summary: every step of the decoder also reads the encoder's last outputs (Cho et al. 2014).
        tied_embeddings: the head's kernel is the table of the decoder's embedding.
    """

    embedding_size: Annotated[int, Field(gt=0)] | None = 64
    bidirectional: bool = True
    attention: Literal["additive", "dot", "general", "scaled_dot", "coverage", "location", "monotonic"] | None = (
        "additive"
    )
    query: Literal["current", "previous"] = "current"
    input_feeding: bool = False
    summary: bool = False
    tied_embeddings: bool = False

    def __post_init__(self) -> None:
        if self.attention is None and (self.input_feeding or self.query == "previous"):
            raise ConfigError(
                "model.input_feeding and model.query=previous are options of attention; set model.attention"
            )
        if self.input_feeding and self.query == "previous":
            raise ConfigError(
                "model.input_feeding - with model.query=previous the context is fed already; set it to false"
            )
        if self.tied_embeddings and self.embedding_size != self.hidden_size:
            raise ConfigError(
                f"model.tied_embeddings - needs model.embedding_size equal to model.hidden_size, got "
                f"{self.embedding_size} and {self.hidden_size}"
            )
        if self.attention in ("dot", "scaled_dot") and self.bidirectional:
            raise ConfigError(
                f"model.attention={self.attention} multiplies outputs of one size, and a bidirectional encoder has "
                "twice as many features; use general, or set model.bidirectional to false"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodeConfig:
    """How targets are found for the test part and by ``seqjax decode``; evaluations in training are greedy.

    Attributes:
        method: ``greedy`` takes the most probable token at every step, ``beam`` keeps several hypotheses.
        beam_size: how many.
        n_best: how many results ``seqjax decode`` writes for each input; at most ``beam_size``.
        length_penalty: what a hypothesis's log-probability is divided by: ``none``, its length (``average``), or
            ``((5 + length) / 6) ** alpha`` (``gnmt``, Wu et al. 2016).
        length_penalty_alpha: the ``alpha`` of ``gnmt``.
        coverage_penalty: weight of what attention has left unread (Wu et al. 2016); 0 for none.
        minimum_length: tokens of a result at least.
        maximum_length: tokens of a result at most; twice the longest target of the training part if not given.
        no_repeat_ngram: so many tokens in a row stand in a result once at most; any number of times if not given.
        allow_unknown: a result may have the token for what the vocabulary does not have.
    """

    method: Literal["greedy", "beam"] = "greedy"
    beam_size: Annotated[int, Field(gt=0)] = 8
    n_best: Annotated[int, Field(gt=0)] = 1
    length_penalty: Literal["none", "average", "gnmt"] = "none"
    length_penalty_alpha: Annotated[float, Field(ge=0)] = 0.6
    coverage_penalty: Annotated[float, Field(ge=0)] = 0.0
    minimum_length: Annotated[int, Field(ge=0)] = 0
    maximum_length: Annotated[int, Field(gt=0)] | None = None
    no_repeat_ngram: Annotated[int, Field(gt=0)] | None = None
    allow_unknown: bool = False

    def __post_init__(self) -> None:
        most = self.beam_size if self.method == "beam" else 1
        if self.n_best > most:
            raise ConfigError(
                f"decode.n_best={self.n_best}, but a {self.method} decoder gives at most {most}; set decode.method to "
                f"beam and decode.beam_size to at least {self.n_best}"
            )
        for name in ("coverage_penalty", "no_repeat_ngram"):
            if getattr(self, name) and self.method == "greedy":
                raise ConfigError(f"decode.{name} - is an option of the beam search; set decode.method to beam")
        if self.maximum_length is not None and self.minimum_length > self.maximum_length:
            raise ConfigError(
                f"decode.minimum_length={self.minimum_length} - is over decode.maximum_length={self.maximum_length}; "
                "lower it"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduledSamplingConfig:
    """Reading the model's own tokens in training, in place of the right ones (Bengio et al. 2015).

    Attributes:
        probability: of a step to read a token that is drawn from the model; reached at the end of the ramp.
        start: updates before the first such step.
        ramp: updates over which the probability rises from 0.
    """

    probability: Annotated[float, Field(ge=0, le=1)] = 0.0
    start: Annotated[int, Field(ge=0)] = 0
    ramp: Annotated[int, Field(ge=0)] = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class SequenceToSequenceExperiment(ExperimentConfig):
    """Learn a sequence from another.

    Attributes:
        task: a sequence from another.
        data: sequences and their target sequences.
        autoencode: the target of a sequence is the sequence itself, whatever the data says.
        target_unit: what a token of the targets is called in measures: ``phone`` gives ``phone_error_rate``.
        metric: what counts: targets without any error (``exact_match``), edits for each right token (``error_rate``),
            or ``bleu`` of the corpus.
        decode: how targets are found.
        scheduled_sampling: reading the model's own tokens in training.
        label_smoothing: share of each target that is spread over all tokens (Szegedy et al. 2016).
        coverage_loss: weight of the loss for reading positions again (See, Liu, Manning 2017).
    """

    task: Literal["sequence_to_sequence"] = "sequence_to_sequence"
    data: SequencesConfig = dataclasses.field(default_factory=SequencesConfig)
    model: SequenceToSequenceModelConfig = dataclasses.field(default_factory=SequenceToSequenceModelConfig)
    autoencode: bool = False
    target_unit: Annotated[str, Field(pattern=r"^[a-z]+$")] = "token"
    metric: Literal["exact_match", "error_rate", "bleu"] = "exact_match"
    decode: DecodeConfig = dataclasses.field(default_factory=DecodeConfig)
    scheduled_sampling: ScheduledSamplingConfig = dataclasses.field(default_factory=ScheduledSamplingConfig)
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    coverage_loss: Annotated[float, Field(ge=0)] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model.attention is None and (self.coverage_loss or self.decode.coverage_penalty):
            raise ConfigError(
                "coverage_loss and decode.coverage_penalty are about attention; set model.attention, or leave them at 0"
            )
