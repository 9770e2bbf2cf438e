"""``seqjax train``, ``eval`` and ``sample``."""

import json
import time
from pathlib import Path
from typing import Any

from seqjax.cli.parser import Arguments, Parser, columns, nonnegative, size, whole_number
from seqjax.config import load_config, named_configs
from seqjax.errors import ConfigError

_TRAIN = """\
Train a model from a config. Everything goes into a run directory: the config, metrics, checkpoints, the loss curve, a
sample, and the result against baselines. Ctrl-C saves; --resume goes on as if nothing had been."""

_TRAIN_EXAMPLE = """\
seqjax train char_lm
seqjax train char_lm model.cell=GRU model.hidden_size=512 train.steps=2000
seqjax train my.yaml --run-dir runs/first
seqjax train --resume runs/first train.steps=4000"""


def add_commands(commands: Any) -> None:
    """Add the parsers of this file's commands."""
    train: Parser = commands.add_parser(
        "train", help="train a model from a config, or go on with a run", description=_TRAIN, example=_TRAIN_EXAMPLE
    )
    train.add_argument("config", metavar="CONFIG", nargs="?", help="a YAML file, or a name that `seqjax configs` lists")
    train.add_argument(
        "settings",
        metavar="KEY=VALUE",
        nargs="*",
        help="changes to the config; `seqjax config CONFIG --describe` shows the keys",
    )
    train.add_argument("--run-dir", metavar="DIR", type=Path, help="where everything goes (default: runs/NAME-TIME)")
    train.add_argument("--resume", metavar="RUN", type=Path, help="go on with the run in this directory")
    train.set_defaults(run=_train)

    evaluate: Parser = commands.add_parser(
        "eval",
        help="measure a run on held-out data",
        description="Measure a run on held-out data, and compare it with baselines that need no neural network.",
        example="seqjax eval runs/first\nseqjax eval runs/first --checkpoint 500 --json\n"
        "seqjax eval runs/names --part test",
    )
    evaluate.add_argument(
        "--part", metavar="PART", help="of the data: validation or test (default: the one measured in training)"
    )
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    evaluate.set_defaults(run=_evaluate)

    sample: Parser = commands.add_parser(
        "sample",
        help="let the model of a run write",
        description="Let the model of a run go on with a prompt. What is not given is as in the run's config.",
        example='seqjax sample runs/first --prompt "The " --length 500 --temperature 0.8 --seed 1',
    )
    sample.add_argument(
        "--prompt", metavar="TEXT", help="what the text begins with; the model must know its characters"
    )
    sample.add_argument("--length", metavar="N", type=whole_number, help="symbols to write")
    sample.add_argument(
        "--temperature",
        metavar="T",
        type=nonnegative,
        help="0 takes the most probable symbol, 1 samples from the model as it is, below 1 is more careful",
    )
    sample.add_argument("--top-k", metavar="N", type=size, help="draw only from so many most probable symbols")
    sample.add_argument(
        "--top-p",
        metavar="P",
        type=nonnegative,
        help="draw only from the fewest symbols that together have at least this probability",
    )
    sample.add_argument(
        "--min-p",
        metavar="P",
        type=nonnegative,
        help="draw only from symbols at least this times as probable as the most probable one",
    )
    sample.add_argument("--seed", metavar="S", type=whole_number, help="another seed, another text")
    sample.set_defaults(run=_sample)
    for parser in (evaluate, sample):
        parser.add_argument(
            "directory", metavar="RUN", type=Path, help="the run directory, as `seqjax train` printed it"
        )
        parser.add_argument(
            "--checkpoint", metavar="STEP", type=whole_number, help="of this step (default: the newest)"
        )


def _train(arguments: Arguments) -> None:
    if arguments.resume is not None:
        # Without a CONFIG, the first setting stands in its place.
        settings = [*([arguments.config] if arguments.config else []), *arguments.settings]
        if arguments.config and "=" not in arguments.config:
            raise ConfigError(f"--resume goes on with the run's own config; leave out '{arguments.config}'")
        if arguments.run_dir is not None:
            raise ConfigError("--resume goes on in the run's own directory; leave out --run-dir")
        from seqjax.train import resume

        run_dir = resume(arguments.resume, settings)
    else:
        if arguments.config is None or "=" in arguments.config:
            raise ConfigError(f"which config? Give a YAML file, or a name: {', '.join(named_configs())}")
        config = load_config(arguments.config, arguments.settings)
        from seqjax.train import run

        run_dir = run(config, arguments.run_dir or _new_directory(config.name))
    print(f"run directory: {run_dir}")


def _new_directory(name: str) -> Path:
    directory = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    number, candidate = 1, directory
    while candidate.exists():
        number += 1
        candidate = directory.with_name(f"{directory.name}-{number}")
    return candidate


def _evaluate(arguments: Arguments) -> None:
    from seqjax.train import evaluate

    result = evaluate(arguments.directory, step=arguments.checkpoint, part=arguments.part)
    if arguments.json:
        print(json.dumps(result))
        return
    others = {name: value for name, value in result["results"].items() if name != result["metric"]}
    rows = [(result["metric"], result["value"], f"checkpoint {result['step']}")]
    rows += [(name, value, "") for name, value in others.items()]
    rows += [(name, value, "baseline") for name, value in result["baselines"].items()]
    print(columns([(name, f"{value:.4f}", what) for name, value, what in rows], right=(1,)))


def _sample(arguments: Arguments) -> None:
    from seqjax.train import sample

    text = sample(
        arguments.directory,
        prompt=arguments.prompt,
        length=arguments.length,
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        min_p=arguments.min_p,
        seed=arguments.seed,
        step=arguments.checkpoint,
    )
    print(text)
