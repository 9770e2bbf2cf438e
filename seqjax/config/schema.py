"""What the schemas of all experiments share; those of each kind stand in :mod:`seqjax.config.tasks`. Imports no JAX."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from seqjax.errors import ConfigError
from seqjax.optim import OptimizerConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayersConfig:
    """Recurrent layers on top of each other.

    Attributes:
        cell: a cell's name, as ``seqjax cells`` lists them.
        cell_options: further arguments of the cell, such as ``{forget_bias: 2.0}``.
        cell_transforms: what is put around the cell, from the inside out: each a mapping with the ``name`` of a
            transform, as ``seqjax transforms`` lists them, and its options, as in ``[{name: zoneout, hidden: 0.05}]``.
        hidden_size: hidden units of every layer.
        num_layers: recurrent layers on top of each other.
        dropout: share of outputs dropped after every layer in training.
        residual: add each layer's input to its output where the sizes agree.
        normalization: normalise the outputs of every layer.
    """

    cell: str = "LSTM"
    cell_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    cell_transforms: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    hidden_size: Annotated[int, Field(gt=0)] = 256
    num_layers: Annotated[int, Field(gt=0)] = 1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    residual: bool = False
    normalization: Literal["layer", "rms"] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The training loop.

    Attributes:
        steps: number of updates.
        eval_every: updates between two evaluations on held-out data; the last step is always evaluated.
        checkpoint_every: updates between two checkpoints; the last step is always saved.
        keep_checkpoints: how many checkpoints are kept.
        log_every: updates between two rows of the metrics file.
        select: which parameters count in the end: the ``last``, or those that were ``best`` in an evaluation.
        weight_noise: standard deviation of noise on all parameters, drawn anew for the gradient of each update (Graves
            2011); 0 for none.
        average_decay: of an exponential average of the parameters, which is then what is measured and what counts in
            the end (Polyak and Juditsky 1992), such as 0.999; 0 for none.
        gradient_flow_every: updates between two measurements of how far back gradients reach, which are written into
            the metrics file; 0 for none. The training stays the same to the bit. Language models only.
        mode: how time runs, as for ``seqjax.scan``.
        checkpoint_time: recomputation over time, as ``checkpoint`` of ``seqjax.scan``.
        devices: the batch is split over so many; on a CPU of several cores 2 or more can be faster.
        compilation_cache: a directory where compiled programs are kept between runs.
        tensorboard: also write TensorBoard events; ``null`` writes them where tensorboardX is installed.
    """

    steps: Annotated[int, Field(gt=0)] = 1000
    eval_every: Annotated[int, Field(gt=0)] = 200
    checkpoint_every: Annotated[int, Field(gt=0)] = 500
    keep_checkpoints: Annotated[int, Field(gt=0)] = 2
    log_every: Annotated[int, Field(gt=0)] = 10
    select: Literal["last", "best"] = "last"
    weight_noise: Annotated[float, Field(ge=0)] = 0.0
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    gradient_flow_every: Annotated[int, Field(ge=0)] = 0
    mode: Literal["auto", "lax"] = "auto"
    checkpoint_time: Literal["sqrt"] | Annotated[int, Field(gt=0)] | None = None
    devices: Annotated[int, Field(gt=0)] = 1
    compilation_cache: str | None = None
    tensorboard: bool | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExperimentConfig:
    """One runnable experiment; each task has a schema of its own that says what data and model are.

    Attributes:
        task: what is learnt from the data.
        name: what the run directory is called; letters, digits, ``_``, ``.`` and ``-``.
        seed: of parameters, dropout, data order and samples.
        data: what is learnt from.
        model: the model.
        optimizer: the Optax chain.
        train: the training loop.
        schema_version: of the schema that a stored config was written for.
    """

    # pydantic hands this on to the dataclasses inside: nothing is guessed, and nothing unknown is let through.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    task: str = ""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] = "experiment"
    seed: Annotated[int, Field(ge=0)] = 0
    data: Any = None
    model: Any = None
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    schema_version: Literal[1] = 1

    def __post_init__(self) -> None:
        batch_size, devices = self.data.batch_size, self.train.devices
        if batch_size % devices:
            raise ConfigError(
                f"data.batch_size={batch_size} cannot be split over train.devices={devices}; make it a multiple of "
                f"{devices}, such as {-(-batch_size // devices) * devices}, or change train.devices"
            )
        if self.train.gradient_flow_every and self.task != "language_model":
            raise ConfigError("train.gradient_flow_every - is measured for language models; set it to 0")
