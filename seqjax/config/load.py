"""Finding, reading, overriding, validating and writing configurations."""

import dataclasses
import functools
import json
import operator
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from seqjax.config.cells import cell_names, check_cell
from seqjax.config.messages import key_descriptions, nested_schema, validation_messages
from seqjax.config.schema import ExperimentConfig, LayersConfig
from seqjax.config.tasks import DEFAULT_TASK, EXPERIMENTS
from seqjax.config.transforms import check_transforms
from seqjax.errors import ConfigError, nearest, shown

_SUFFIXES = (".yaml", ".yml")


def load_config(path_or_name: str | Path, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read a config by path or by name, apply ``key=value`` overrides, and validate the result.

    Args:
        path_or_name: a YAML file, or the name of a config that ships with seqjax, such as ``char_lm``.
        overrides: dotted keys and YAML values, such as ``model.hidden_size=512``; later ones win.

    Raises:
        ConfigError: with every mistake at once, one line each.
    """
    given = _merged(_read(find_config(path_or_name)), parse_overrides(overrides))
    values = _merged(config_to_dict(_schema_of(given)()), given)
    try:
        container = OmegaConf.to_container(OmegaConf.create(values), resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key} - is '???', which stands for a value that has to be given") from None
    except OmegaConfBaseException as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{error.full_key} - {reason}; ${{...}} takes the value of another key") from None
    return config_from_dict(typing.cast("dict[str, Any]", container))


def config_from_dict(values: Mapping[str, Any]) -> ExperimentConfig:
    """Validate nested plain values; the inverse of :func:`config_to_dict`.

    Raises:
        ConfigError: with every mistake at once, one line each.
    """
    schema = _schema_of(values)
    messages, config = [], None
    try:
        # By way of JSON, pydantic's strict mode takes a whole number for a float, yet refuses `true` for a number.
        config = _adapter(schema).validate_json(json.dumps(values, default=repr))
    except ValidationError as error:
        messages = validation_messages(error, schema)
    filled = _merged(config_to_dict(schema()), values)
    for at, layers in _with_cells(filled["model"], "model"):
        options = layers.get("cell_options", {})
        if isinstance(layers["cell"], str):
            messages += check_cell(
                layers["cell"], options if isinstance(options, Mapping) else {}, f"{at}.cell", f"{at}.cell_options."
            )
        messages += check_transforms(layers.get("cell_transforms", []), f"{at}.cell_transforms")
    if messages:
        raise ConfigError("\n".join(messages))
    assert config is not None
    return config


def config_to_dict(config: ExperimentConfig) -> dict[str, Any]:
    """Nested plain values."""
    values = dataclasses.asdict(config)
    # Fields that one task has are listed after those that all have.
    return {**values, "schema_version": values.pop("schema_version")}


def config_to_yaml(config: ExperimentConfig) -> str:
    """The whole config as YAML, which :func:`load_config` reads back to an equal one."""
    return OmegaConf.to_yaml(OmegaConf.create(_escaped(config_to_dict(config))))


def json_schema(task: str | None = None) -> dict[str, Any]:
    """The JSON schema of a config, for editors that complete and check YAML.

    Args:
        task: that of the configs; if not given, the schema takes those of any task.
    """
    if task is None:
        schema = TypeAdapter(functools.reduce(operator.or_, EXPERIMENTS.values())).json_schema()
        chosen = list(EXPERIMENTS.values())
    else:
        schema = _adapter(EXPERIMENTS[task]).json_schema()
        chosen = [EXPERIMENTS[task]]
        schema.setdefault("$defs", {})
    described = {section.__name__: section for experiment in chosen for section in _sections(experiment)}
    parts = {name: (schema["$defs"][name], section) for name, section in described.items()}
    for experiment in chosen:
        part = schema if task is not None else schema["$defs"][experiment.__name__]
        parts[experiment.__name__] = (part, experiment)
        part["properties"]["model"].pop("default", None)
    for part, section in parts.values():
        part["description"] = (section.__doc__ or "").partition("\n")[0]
        for key, text in key_descriptions(section).items():
            part["properties"][key]["description"] = text
        if issubclass(section, LayersConfig):
            part["properties"]["cell"]["enum"] = cell_names()
    return schema


def named_configs() -> dict[str, Path]:
    """The configs that can be used by name: those inside the package, or of the repository in an editable install."""
    package = Path(__file__).parents[1]
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in _SUFFIXES}
    return {}


def find_config(path_or_name: str | Path) -> Path:
    """The file that a path or a name stands for.

    Raises:
        ConfigError: if there is none, with the nearest name.
    """
    path, named = Path(path_or_name).expanduser(), named_configs()
    if path.is_file():
        return path
    if str(path_or_name) in named:
        return named[str(path_or_name)]
    if path.is_dir() and str(path_or_name):
        hint = "to go on with a run, use `seqjax train --resume RUN`" if (path / "config.yaml").is_file() else ""
        raise ConfigError(f"{path} is a directory, not a config file; {hint or _names(named)}")
    if path.suffix in _SUFFIXES or len(path.parts) > 1:
        hint = f"the config '{path.stem}' can be used by that name" if path.stem in named else _names(named)
        raise ConfigError(f"there is no file {path}; {hint}")
    raise ConfigError(f"there is no config {shown(str(path_or_name))}; {nearest(str(path_or_name), list(named))}")


def parse_overrides(overrides: Sequence[str]) -> dict[str, Any]:
    """``["a.b=1"]`` as ``{"a": {"b": 1}}``; values are YAML.

    Raises:
        ConfigError: for what is not a dotted key, ``=``, and a YAML value.
    """
    parsed: dict[str, Any] = {}
    messages = []
    for override in overrides:
        key, equals, _ = override.partition("=")
        if not equals:
            messages.append(f"{override} - an override needs '=' and a value, as in model.hidden_size=512")
        elif not all(part.strip() == part and part for part in key.split(".")) or any(c in key for c in "[]{}$"):
            messages.append(f"{override} - an override starts with a dotted key, as in model.hidden_size=512")
        else:
            try:
                layer = OmegaConf.to_container(OmegaConf.from_dotlist([override]))
                parsed = _merged(parsed, typing.cast("dict[str, Any]", layer))
            except (yaml.YAMLError, OmegaConfBaseException) as error:
                reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
                messages.append(f"{override} - the value is not YAML ({reason}); try quotes, as in '{key}=\"...\"'")
    if messages:
        raise ConfigError("\n".join(messages))
    return parsed


def _merged(below: Mapping[Any, Any], above: Mapping[Any, Any]) -> dict[str, Any]:
    """``above`` wins; unlike OmegaConf's merge, also where a mapping meets a list, which validation then explains."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(below.get(key), Mapping)
        merged[key] = _merged(below[key], value) if both else value
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded = OmegaConf.load(path)
        # Plain text reads as a mapping from itself to nothing.
        mapping = isinstance(loaded, DictConfig) and not isinstance(yaml.safe_load(path.read_text("utf-8")), str)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line} - {error.problem or 'not YAML'}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} - not a YAML text: {str(error).partition(chr(10))[0]}") from None
    except PermissionError:
        raise ConfigError(f"{path} - may not be read; check its permissions") from None
    except OSError:
        mapping, loaded = False, None
    if not mapping:
        raise ConfigError(
            f"{path} - not a mapping; a config is lines of 'key: value', as `seqjax config char_lm` prints"
        )
    if not loaded:
        raise ConfigError(f"{path} - holds no settings; `seqjax config char_lm` prints a complete config to start from")
    return typing.cast("dict[str, Any]", OmegaConf.to_container(loaded))


@functools.cache
def _adapter(schema: type[ExperimentConfig]) -> TypeAdapter[ExperimentConfig]:
    return TypeAdapter(schema)


def _schema_of(values: Mapping[str, Any]) -> type[ExperimentConfig]:
    task = values.get("task", DEFAULT_TASK)
    if task not in EXPERIMENTS:
        raise ConfigError(f"task - no task of this name; {nearest(str(task), list(EXPERIMENTS))} (got {shown(task)})")
    return EXPERIMENTS[task]


def _with_cells(values: Any, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping of a model that names a cell, and where it stands."""
    if isinstance(values, Mapping):
        if "cell" in values:
            yield at, values
        for key, value in values.items():
            yield from _with_cells(value, f"{at}.{key}")


def _sections(schema: type) -> list[type]:
    inside = [nested_schema(hint) for hint in typing.get_type_hints(schema).values()]
    return [part for section in inside if section is not None for part in (section, *_sections(section))]


def _names(named: Mapping[str, Path]) -> str:
    return f"give the path of a YAML file, or a name: {', '.join(named)}" if named else "give the path of a YAML file"


def _escaped(value: Any) -> Any:
    """Text in which ``${`` is meant as it stands."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value
