"""Texts and their split into what is trained on and what is held out."""

import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path

from seqjax.data.config import TextConfig
from seqjax.data.download import read_verified
from seqjax.data.streams import batches_per_epoch
from seqjax.errors import DataError, closest


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A text in two parts.

    Attributes:
        name: the source.
        train: what is learnt from.
        heldout: what only evaluations read.
    """

    name: str
    train: str
    heldout: str


def load_corpus(config: TextConfig) -> Corpus:
    """Loads the text that a configuration names, and splits it.

    ``python-reference`` is the text of the topics in ``pydoc_data``, which is the greater part of Python's language
    reference and comes with Python itself. The topics are read in alphabetical order and cut into paragraphs at blank
    lines; a paragraph that has the same words as an earlier one is dropped, so none is in both parts; the first
    paragraphs that make up 90 % of the characters are for training, the rest is held out. The text differs a little
    from one version of Python to the next: 335,862 + 37,238 characters in 3.11, 372,713 + 41,278 in 3.13.

    ``tiny-shakespeare`` is a file below the data root with a known checksum: the first 90 % (1,003,854 characters) are
    for training, as in nanoGPT.

    Anything else is the path of a UTF-8 text file, of which the last ``heldout_fraction`` is held out.

    Raises:
        DataError: if the text is missing, damaged, empty, not UTF-8, or too short for one batch.
    """
    corpus = _SOURCES.get(config.source, _text_file)(config)
    unit: Callable[[str], int] = len if config.vocabulary == "character" else lambda text: len(text.encode())
    batches_per_epoch(unit(corpus.train), config.batch_size, config.length, name=corpus.name)
    if unit(corpus.heldout) < 2:
        raise DataError(
            f"{corpus.name}: {unit(corpus.heldout)} symbols are held out, expected at least 2; "
            "take a longer text or a greater data.heldout_fraction"
        )
    return corpus


def _python_reference(config: TextConfig) -> Corpus:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError(
            f"{config.source}: this Python comes without pydoc_data; set data.source to a text file"
        ) from None
    paragraphs: dict[str, str] = {}
    for topic in sorted(topics):
        for paragraph in re.split(r"\n\s*\n", topics[topic]):
            words = " ".join(paragraph.split())
            if words:
                paragraphs.setdefault(words, paragraph.strip("\n"))
    kept = list(paragraphs.values())
    wanted = 0.9 * len("\n\n".join(kept))
    characters = count = 0
    while characters < wanted:
        characters += len(kept[count]) + len("\n\n")
        count += 1
    return Corpus(config.source, "\n\n".join(kept[:count]), "\n\n".join(kept[count:]))


def _tiny_shakespeare(config: TextConfig) -> Corpus:
    text = read_verified(config.source, config.root).decode()
    return _split(config.source, text, 0.1)


def _text_file(config: TextConfig) -> Corpus:
    path = Path(config.source).expanduser()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        near = closest(config.source, list(_SOURCES))
        hint = f"did you mean {near!r}?" if near else "check the path"
        raise DataError(
            f"no text file {os.fspath(path)!r} in {os.getcwd()}; {hint} "
            f"(sources that need no path: {', '.join(_SOURCES)})"
        ) from None
    except OSError as error:
        raise DataError(
            f"cannot read {os.fspath(path)!r}: {error.strerror}; data.source must be a text file"
        ) from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{config.source}: byte {error.object[error.start]:#04x} at position {error.start} is not UTF-8 "
            f"({error.reason}); save the text as UTF-8, for example with `iconv -f LATIN1 -t UTF-8`"
        ) from None
    if not text.strip():
        raise DataError(f"{config.source}: the text is empty; set data.source to a file with text in it")
    return _split(config.source, text, config.heldout_fraction)


def _split(name: str, text: str, heldout_fraction: float) -> Corpus:
    cut = int(len(text) * (1 - heldout_fraction))
    return Corpus(name, text[:cut], text[cut:])


_SOURCES: dict[str, Callable[[TextConfig], Corpus]] = {
    "python-reference": _python_reference,
    "tiny-shakespeare": _tiny_shakespeare,
}
