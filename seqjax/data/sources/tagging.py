"""Words and their tags."""

import os
from typing import Literal

from seqjax.data.download import read_verified
from seqjax.data.records import Dataset, Records

Root = str | os.PathLike[str] | None


def snips(root: Root = None) -> Dataset:
    """Commands to an assistant: a slot of each word (B-, I- and O), and the intent of all as label."""
    parts = []
    for part in ("train", "valid", "test"):
        words, tags, intents = (
            [line.split() for line in read_verified(f"snips/{part}.{kind}", root).decode().splitlines()]
            for kind in ("seq.in", "seq.out", "label")
        )
        parts.append(Records(words, tags, labels=[intent[0] for intent in intents]))
    return Dataset("snips", *parts)


def ud_ewt(root: Root = None, tags: Literal["upos", "xpos"] = "upos") -> Dataset:
    """English of the web with parts of speech: 17 universal ones (UPOS), or 49 of the Penn Treebank (XPOS).

    Words are those of the treebank's syntax: ``didn't`` is ``did`` and ``n't``.
    """
    column = {"upos": 3, "xpos": 4}[tags]
    parts = []
    for part in ("train", "dev", "test"):
        inputs, targets, names = [], [], []
        for block in read_verified(f"ud_ewt/en_ewt-ud-{part}.conllu", root).decode().strip().split("\n\n"):
            lines = block.split("\n")
            names += [line.removeprefix("# sent_id = ") for line in lines if line.startswith("# sent_id = ")]
            # Ranges (1-2) are spellings of several words, and decimals (8.1) are words that were not said.
            rows = [line.split("\t") for line in lines if line.partition("\t")[0].isdecimal()]
            inputs.append([row[1] for row in rows])
            targets.append([row[column] for row in rows])
        parts.append(Records(inputs, targets, names=names))
    return Dataset("ud-ewt", *parts)
