"""Finding, reading, overriding, validating and writing configurations."""

import dataclasses
import functools
import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import TypeAdapter, ValidationError

from seqjax.config.cells import cell_names, check_cell
from seqjax.config.messages import key_descriptions, nested_schema, validation_messages
from seqjax.config.schema import ExperimentConfig
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
    path = find_config(path_or_name)
    values = config_to_dict(ExperimentConfig())
    for layer in (_read(path), parse_overrides(overrides)):
        values = _merged(values, layer)
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
    messages, config = [], None
    try:
        # By way of JSON, pydantic's strict mode takes a whole number for a float, yet refuses `true` for a number.
        config = _adapter().validate_json(json.dumps(values, default=repr))
    except ValidationError as error:
        messages = validation_messages(error, ExperimentConfig)
    model = values.get("model", {})
    if isinstance(model, Mapping):
        name, options = model.get("cell", ExperimentConfig().model.cell), model.get("cell_options", {})
        if isinstance(name, str):
            messages += check_cell(name, options if isinstance(options, Mapping) else {})
        messages += check_transforms(model.get("cell_transforms", []))
    if messages:
        raise ConfigError("\n".join(messages))
    assert config is not None
    return config


def config_to_dict(config: ExperimentConfig) -> dict[str, Any]:
    """Nested plain values."""
    return dataclasses.asdict(config)


def config_to_yaml(config: ExperimentConfig) -> str:
    """The whole config as YAML, which :func:`load_config` reads back to an equal one."""
    return OmegaConf.to_yaml(OmegaConf.create(_escaped(config_to_dict(config))))


def json_schema() -> dict[str, Any]:
    """The JSON schema of a config, for editors that complete and check YAML."""
    schema = _adapter().json_schema()
    for part, described in ((schema, ExperimentConfig), *((schema["$defs"][c.__name__], c) for c in _sections())):
        part["description"] = (described.__doc__ or "").partition("\n")[0]
        for key, text in key_descriptions(described).items():
            part["properties"][key]["description"] = text
    schema["properties"]["model"].pop("default", None)
    cell = schema["$defs"]["ModelConfig"]["properties"]["cell"]
    cell["enum"] = cell_names()
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
def _adapter() -> TypeAdapter[ExperimentConfig]:
    return TypeAdapter(ExperimentConfig)


def _sections(schema: type = ExperimentConfig) -> list[type]:
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
