"""Optax chains from a configuration. The schema is free of JAX; Optax is imported when a chain is built."""

import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from seqjax.errors import ConfigError, nearest, shown

if TYPE_CHECKING:
    import optax


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

    def __post_init__(self) -> None:
        given = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        if len(given) > 1:
            got = ", ".join(f"{key}: {value}" for key, value in given.items())
            raise ConfigError(f"give only one of global_norm, value and adaptive (got {got})")


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
        weight_decay_on: ``kernels`` decays matrices, not biases and normalisation scales; ``all`` decays everything.
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


def optimizer(config: OptimizerConfig, steps: int) -> "optax.GradientTransformation":
    """The Optax chain of a config: skip what is not finite, clip, optimise with a scheduled learning rate.

    Equal configs give the same object, so that a function compiled with one is not compiled again with the other.
    With ``skip_nonfinite`` above 0, an update from gradients that are not all finite changes neither parameters nor
    optimiser state and is counted; see :func:`skipped_updates`.

    Args:
        config: the optimiser, its clipping and its schedule.
        steps: number of updates of the whole training, where the schedule ends.

    Raises:
        ConfigError: for names, options and combinations that Optax does not have.
    """
    return _optimizer(_Key(config), steps)


def learning_rate_at(config: OptimizerConfig, steps: int, step: int) -> float:
    """The learning rate of update number ``step``, counted from 0."""
    rate = _learning_rate(_Key(config), steps)
    return rate if isinstance(rate, float | int) else float(rate(step))


def skipped_updates(opt_state: Any) -> int:
    """How many updates have been skipped so far because a gradient was not finite."""
    return _counter(opt_state, "total_notfinite")


def skipped_in_a_row(opt_state: Any) -> int:
    """How many updates in a row have been skipped up to now; training should end at more than ``skip_nonfinite``."""
    return _counter(opt_state, "notfinite_count")


def optimizer_names() -> list[str]:
    """The optimisers that :func:`optimizer` takes."""
    return sorted(_optimizers())


def schedule_names() -> list[str]:
    """The schedules that :func:`optimizer` takes."""
    return sorted(_schedules())


# These need more than gradients and parameters: the loss, its function, or other parameters to evaluate at.
_NEEDS_MORE = ("dpsgd", "momo", "momo_adam", "schedule_free_adamw", "schedule_free_sgd", "sophia")
_SET_ELSEWHERE = {
    "learning_rate": "learning_rate",
    "weight_decay": "weight_decay",
    "weight_decay_rate": "weight_decay",
    "mask": "weight_decay_on",
    "weight_decay_mask": "weight_decay_on",
}


class _Key:
    """A config whose options, which are dictionaries, take part in equality and hash as their JSON."""

    def __init__(self, config: OptimizerConfig) -> None:
        self.config = config
        try:
            self.text = json.dumps(dataclasses.asdict(config), sort_keys=True)
        except TypeError as error:
            raise ConfigError(f"optimizer - options have to be plain numbers, text and lists: {error}") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


@functools.lru_cache(maxsize=64)
def _optimizer(key: _Key, steps: int) -> "optax.GradientTransformation":
    import optax

    config = key.config
    chain = [*_clipping(config.clip), _algorithm(config, _learning_rate(key, steps))]
    transformation = optax.chain(*chain)
    if config.skip_nonfinite:
        # Optax would let the update through once its limit is reached, and lose the parameters; here it never is, and
        # the caller stops by `skipped_in_a_row` with parameters that are whole.
        transformation = optax.apply_if_finite(transformation, max_consecutive_errors=2**31 - 1)
    return transformation


def _clipping(config: ClipConfig) -> list["optax.GradientTransformation"]:
    import optax

    if config.global_norm is not None:
        return [optax.clip_by_global_norm(config.global_norm)]
    if config.value is not None:
        return [optax.clip(config.value)]
    if config.adaptive is not None:
        return [optax.adaptive_grad_clip(config.adaptive)]
    return []


def _algorithm(config: OptimizerConfig, learning_rate: Any) -> "optax.GradientTransformation":
    function = _by_name(config.name, _optimizers(), "optimizer.name", "optimiser")
    parameters = inspect.signature(function).parameters
    if callable(learning_rate) and "Callable" not in str(parameters["learning_rate"].annotation):
        raise ConfigError(
            f"optimizer.schedule - {config.name} takes only a constant learning rate; remove the schedule"
        )
    arguments: dict[str, Any] = {"learning_rate": learning_rate, **_weight_decay(config, parameters)}
    if config.name == "lbfgs" and config.options.get("linesearch", "default") is not None:
        raise ConfigError(
            "optimizer.options.linesearch - a line search needs the loss several times an update; "
            "set it to null for steps of the learning rate"
        )
    accepted = [name for name in parameters if name not in _SET_ELSEWHERE]
    _check_options(config.options, parameters, accepted, "optimizer.options", config.name)
    return _call(function, arguments | config.options, "optimizer.options", config.name)


def _weight_decay(config: OptimizerConfig, parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    rate = next((name for name in ("weight_decay", "weight_decay_rate") if name in parameters), None)
    mask = next((name for name in ("mask", "weight_decay_mask") if name in parameters), None)
    if config.weight_decay is None:
        arguments = {}
    elif rate is None:
        decaying = sorted(name for name, function in _optimizers().items() if "weight_decay" in _parameters(function))
        raise ConfigError(
            f"optimizer.weight_decay - {config.name} has none; {nearest(config.name, decaying)} "
            f"(got {config.weight_decay})"
        )
    else:
        arguments = {rate: config.weight_decay}
    if config.weight_decay_on == "all":
        return arguments
    if mask is not None:
        return arguments | {mask: _kernels}
    if config.weight_decay:
        raise ConfigError(
            f"optimizer.weight_decay_on - {config.name} can only decay everything; set it to 'all' (got 'kernels')"
        )
    return arguments


def _kernels(params: Any) -> Any:
    """Which leaves are matrices (or more): kernels and embeddings, not biases and scales."""
    import jax

    return jax.tree.map(lambda leaf: leaf.ndim >= 2, params)


def _learning_rate(key: _Key, steps: int) -> float | Callable[[int], Any]:
    schedule = key.config.schedule
    return key.config.learning_rate if schedule is None else _schedule(schedule, key.config.learning_rate, steps)


def _schedule(config: ScheduleConfig, learning_rate: float, steps: int) -> Callable[[int], Any]:
    function = _by_name(config.name, _schedules(), "optimizer.schedule.name", "schedule")
    parameters = inspect.signature(function).parameters
    options, at = dict(config.options), "optimizer.schedule.options"
    _check_options(options, parameters, list(parameters), at, config.name)
    # A decay starts after these, and is to end with the training.
    before = options.get("transition_begin", 0) + options.get("warmup_steps", 0)
    filled: dict[str, Any] = {
        "value": learning_rate,
        "peak_value": learning_rate,
        "init_value": 0.0 if "peak_value" in parameters else learning_rate,
        "decay_steps": steps,
        "transition_steps": max(1, steps - before),
    }
    try:
        if "boundaries_and_scales" in options:
            # Keys of JSON, and so of stored configs, are text.
            options["boundaries_and_scales"] = {
                int(at): scale for at, scale in options["boundaries_and_scales"].items()
            }
        if "cosine_kwargs" in options:
            cycles = options["cosine_kwargs"]
            options["cosine_kwargs"] = [{"init_value": 0.0, "peak_value": learning_rate, **cycle} for cycle in cycles]
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{at} - {config.name} does not take them: {error} (got {shown(config.options)})") from None
    return _call(function, {name: filled[name] for name in filled if name in parameters} | options, at, config.name)


def _optimizers() -> dict[str, Callable[..., Any]]:
    import optax
    import optax.contrib

    found = {}
    for module in (optax.contrib, optax):
        for name, function in vars(module).items():
            if callable(function) and not isinstance(function, type) and not name.startswith(("_", "scale_by_")):
                parameters = _parameters(function)
                required = {parameter.name for parameter in parameters.values() if parameter.default is parameter.empty}
                if "learning_rate" in parameters and required <= {"learning_rate"} and name not in _NEEDS_MORE:
                    found[name] = function
    return found


def _schedules() -> dict[str, Callable[..., Any]]:
    import optax

    rates = {"value", "init_value", "peak_value", "cosine_kwargs"}
    return {
        name: function
        for name, function in vars(optax.schedules).items()
        if inspect.isfunction(function) and not name.startswith("_") and rates & set(_parameters(function))
    }


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # A type alias, which is callable and has no signature.
        return {}


def _by_name(name: str, known: Mapping[str, Callable[..., Any]], at: str, kind: str) -> Callable[..., Any]:
    if name not in known:
        raise ConfigError(
            f"{at} - Optax has no {kind} of this name; {nearest(name, sorted(known))} (got {shown(name)})"
        )
    return known[name]


def _check_options(
    options: Mapping[str, Any],
    parameters: Mapping[str, inspect.Parameter],
    accepted: list[str],
    at: str,
    name: str,
) -> None:
    messages = []
    for key, value in options.items():
        got = f"(got {shown(value)})"
        if key not in accepted:
            mend = f"set optimizer.{_SET_ELSEWHERE[key]}" if key in _SET_ELSEWHERE else nearest(key, accepted)
            messages.append(f"{at}.{key} - {name} takes no such option; {mend} {got}")
            continue
        default = parameters[key].default
        numeric = _is_number(default) or key.endswith(("_steps", "_value", "_rate", "_begin"))
        if isinstance(default, bool) and not isinstance(value, bool):
            messages.append(f"{at}.{key} - must be true or false {got}")
        elif numeric and not _is_number(value):
            messages.append(f"{at}.{key} - must be a number {got}")
    if messages:
        raise ConfigError("\n".join(messages))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _call(function: Callable[..., Any], arguments: Mapping[str, Any], at: str, name: str) -> Any:
    parameters = inspect.signature(function).parameters.values()
    missing = [p.name for p in parameters if p.default is p.empty and p.name not in arguments]
    if missing:
        raise ConfigError(f"{at} - {name} needs {', '.join(missing)} as well (got {shown(sorted(arguments))})")
    try:
        return function(**arguments)
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{at} - {name} refuses them: {error}") from None


def _counter(opt_state: Any, name: str) -> int:
    import optax

    value = optax.tree.get(opt_state, name, default=0)
    return int(value[...] if hasattr(value, "get_value") else value)
