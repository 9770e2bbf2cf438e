"""``seqjax decode``."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqjax.cli.parser import Arguments, Parser, size, whole_number
from seqjax.errors import ConfigError, DataError

if TYPE_CHECKING:
    from seqjax.train.predictions import Prediction

_DESCRIPTION = """\
Let the model of a run say what it makes of each line of a file: its class, tags, translation. There are as many lines
of output as of input; several predictions of a line stand on one, tab between. What was wrong with which line is said
on standard error. How predictions are searched for is as in the run's config, where it is not given."""

_EXAMPLE = """\
seqjax decode runs/dates --input dates.txt
echo "jump twice" | seqjax decode runs/scan --input -
seqjax decode runs/cmudict --input words.txt --output sounds.txt --beam 8 --n-best 3
seqjax decode runs/cmudict --input words.txt --json"""

_LISTED = 5


def add_commands(commands: Any) -> None:
    """Add the parser of this file's command."""
    decode: Parser = commands.add_parser(
        "decode", help="predictions of a run for a file of lines", description=_DESCRIPTION, example=_EXAMPLE
    )
    decode.add_argument("directory", metavar="RUN", type=Path, help="the run directory, as `seqjax train` printed it")
    decode.add_argument("--input", metavar="FILE", required=True, help="lines to read, UTF-8; - is standard input")
    decode.add_argument("--output", metavar="FILE", type=Path, help="where predictions go (default: standard output)")
    decode.add_argument("--beam", metavar="N", type=size, help="search with a beam of so many hypotheses")
    decode.add_argument("--n-best", metavar="N", type=size, help="so many predictions for each line")
    decode.add_argument("--json", action="store_true", help="write a JSON object for each line, with scores")
    decode.add_argument(
        "--checkpoint", metavar="STEP", type=whole_number, help="of this step (default: the one that counts in the end)"
    )
    decode.set_defaults(run=_decode)


def _decode(arguments: Arguments) -> None:
    if arguments.output is not None and not arguments.output.parent.is_dir():
        raise ConfigError(f"--output: there is no directory {arguments.output.parent}; make it first")
    lines = _lines(arguments.input)

    from seqjax.train import decode

    predictions = decode(
        arguments.directory, lines, beam_size=arguments.beam, n_best=arguments.n_best, step=arguments.checkpoint
    )
    text = "".join(f"{_json(each) if arguments.json else _plain(each)}\n" for each in predictions)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        try:
            arguments.output.write_text(text, "utf-8")
        except OSError as error:
            raise ConfigError(f"--output: cannot write {arguments.output}: {error.strerror}") from error
    for remark in _remarks(predictions):
        print(remark, file=sys.stderr)


def _lines(name: str) -> list[str]:
    """The lines of a file; only line feeds end them, and a carriage return before one is no part of the line."""
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise DataError(
            f"cannot read {name}: {error.strerror}; give a file of lines, or - for standard input"
        ) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DataError(f"line {line} of {name} is not UTF-8 (byte {error.start:,} of the file); convert it") from None
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def _plain(prediction: "Prediction") -> str:
    return "\t".join(answer.text for answer in prediction.answers)


def _json(prediction: "Prediction") -> str:
    predictions = [
        {"text": answer.text} if answer.score is None else {"text": answer.text, "score": round(answer.score, 6)}
        for answer in prediction.answers
    ]
    values = {"line": prediction.line, "input": prediction.text, "predictions": predictions}
    if prediction.unknown:
        values["unknown"] = prediction.unknown
    if prediction.problem is not None:
        values["problem"] = prediction.problem
    return json.dumps(values, ensure_ascii=False)


def _remarks(predictions: Sequence["Prediction"]) -> Iterator[str]:
    """What a person must know of the lines, each kind in a line of its own."""
    if not predictions:
        yield "there is no line in the input"
        return
    empty = [each.line for each in predictions if each.problem == "is empty"]
    if empty:
        yield f"{_numbered(empty)}: empty, and so is the output"
    told = [each for each in predictions if each.problem is not None and each.line not in set(empty)]
    for each in told[:_LISTED]:
        yield f"line {each.line} {each.problem}"
    if len(told) > _LISTED:
        yield f"{len(told) - _LISTED:,} more lines like these: {_numbered([each.line for each in told[_LISTED:]])}"
    unknown = [each for each in predictions if each.unknown]
    if unknown:
        tokens = list(dict.fromkeys(token for each in unknown for token in each.unknown))
        listed = ", ".join(map(repr, tokens[:_LISTED])) + (", ..." if len(tokens) > _LISTED else "")
        count = sum(len(each.unknown) for each in unknown)
        yield (
            f"{count:,} {'token is' if count == 1 else 'tokens are'} unknown to the model ({listed}), in "
            f"{_numbered([each.line for each in unknown])}"
        )
    without = sum(not each.answers for each in predictions)
    if without:
        yield f"{without:,} of {len(predictions):,} lines have no prediction; their lines of output are empty"


def _numbered(lines: Sequence[int]) -> str:
    listed = ", ".join(map(str, lines[:_LISTED])) + (
        f" and {len(lines) - _LISTED:,} more" if len(lines) > _LISTED else ""
    )
    return f"{'line' if len(lines) == 1 else 'lines'} {listed}"
