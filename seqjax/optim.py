"""Optax chains from a configuration. The schema is free of JAX; Optax is imported when a chain is built."""

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import Field


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """Gradient clipping; at most one of the three acts.

    Attributes:
        global_norm: scale all gradients together down to this norm (Pascanu, Mikolov, Bengio 2013).
        value: clip each element to this magnitude.
        adaptive: clip each unit's gradient to this fraction of its parameters' norm (Brock et al. 2021).
    """

    global_norm: Annotated[float, Field(gt=0)] | None = None
    value: Annotated[float, Field(gt=0)] | None = None
    adaptive: Annotated[float, Field(gt=0)] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """A learning-rate schedule of Optax by name.

    Attributes:
        name: a function of ``optax.schedules`` such as ``cosine_decay_schedule`` or ``warmup_cosine_decay_schedule``.
        options: its arguments, but for the learning rate itself and the number of training steps, which are filled in.
    """

    name: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """An Optax chain: skip what is not finite, clip, optimise.

    Attributes:
        name: an optimiser of Optax, such as ``adam``, ``adamw``, ``sgd``, ``lion``.
        learning_rate: the (peak) learning rate.
        options: further arguments of the optimiser.
        schedule: how the learning rate changes; constant if not given.
        clip: gradient clipping.
        weight_decay: decoupled weight decay, where the optimiser takes one.
        weight_decay_on: ``kernels`` decays matrices only, not biases and normalisation scales; ``all`` decays everything.
        skip_nonfinite: how many updates in a row may be skipped because a gradient is not finite; 0 stops at the first.
    """

    name: str = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    schedule: ScheduleConfig | None = None
    clip: ClipConfig = ClipConfig()
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    weight_decay_on: Literal["kernels", "all"] = "kernels"
    skip_nonfinite: Annotated[int, Field(ge=0)] = 0
