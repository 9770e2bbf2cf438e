"""``seqjax config`` and ``configs``."""

import json
import re
from typing import Any

from seqjax.cli.parser import Arguments, Parser, columns
from seqjax.config import config_to_yaml, json_schema, load_config, named_configs
from seqjax.errors import ConfigError


def add_commands(commands: Any) -> None:
    """Add the parsers of this file's commands."""
    config: Parser = commands.add_parser(
        "config",
        help="print a config with all its keys, or the schema",
        description="Print a config as a run would use it: every key, with the changes applied. A start for one's own.",
        example="seqjax config char_lm model.cell=GRU > my.yaml\n"
        "seqjax config char_lm --describe\n"
        "seqjax config --schema > seqjax.schema.json",
    )
    config.add_argument(
        "config", metavar="CONFIG", nargs="?", help="a YAML file, or a name that `seqjax configs` lists"
    )
    config.add_argument("settings", metavar="KEY=VALUE", nargs="*", help="changes to the config")
    config.add_argument("--describe", action="store_true", help="say at each key what it is")
    config.add_argument(
        "--schema", action="store_true", help="print the JSON schema, by which editors complete and check"
    )
    config.set_defaults(run=_config)

    configs: Parser = commands.add_parser(
        "configs",
        help="list the configs that can be used by name",
        description="List the configs that can be used by name.",
        example="seqjax configs",
    )
    configs.set_defaults(run=_configs)


def _config(arguments: Arguments) -> None:
    if arguments.schema:
        print(json.dumps(json_schema(), indent=2))
        return
    if arguments.config is None or "=" in arguments.config:
        raise ConfigError(f"which config? Give a YAML file, or a name: {', '.join(named_configs())}")
    config = load_config(arguments.config, arguments.settings)
    text = config_to_yaml(config)
    print(_described(text, json_schema(config.task)) if arguments.describe else text, end="")


def _described(text: str, schema: dict[str, Any]) -> str:
    """The YAML of a config with what the schema says about a key after it."""
    lines, path = text.splitlines(), list[str]()
    for number, line in enumerate(lines):
        match = re.fullmatch(r"((?:  )*)(\w+):(.*)", line)
        if match is None:
            continue
        indent, key, value = match.groups()
        path[len(indent) // 2 :] = [key]
        # A value that goes on in the next line has no room for a comment.
        following = next((later for later in lines[number + 1 :] if later), "")
        if value and following.startswith(indent + " "):
            continue
        description = _description(schema, path)
        if description:
            lines[number] = f"{line:<34}  # {description}"
    return "\n".join(lines) + "\n"


def _description(schema: dict[str, Any], path: list[str]) -> str:
    part, definitions = schema, schema["$defs"]
    for key in path:
        choices = [part, *part.get("anyOf", [])]
        part = next((c for c in choices if "$ref" in c), part)
        part = definitions[part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        part = part.get("properties", {}).get(key, {})
    return part.get("description", "")


def _configs(arguments: Arguments) -> None:
    rows = []
    for name, path in named_configs().items():
        comments = [line.lstrip("# ") for line in path.read_text("utf-8").splitlines() if line.startswith("#")]
        # The first sentence of a header says what is learnt.
        rows.append((name, re.split(r"(?<=[.?])\s", comments[0], maxsplit=1)[0] if comments else ""))
    print(columns(rows) if rows else "none")
