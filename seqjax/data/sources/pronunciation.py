"""Words and how they sound."""

import os
import re

from seqjax.data.download import read_verified
from seqjax.data.records import Dataset, Records
from seqjax.data.sources.splits import divide


def cmudict(
    root: str | os.PathLike[str] | None = None,
    stress: bool = False,
    validation: float = 0.05,
    test: float = 0.05,
    seed: int = 0,
) -> Dataset:
    """English words and how they sound in 39 phones, or with the stress of vowels as the dictionary has it.

    Training has a record for each pronunciation of a word. Validation and test have one for each word, whose target is
    the first pronunciation and whose references are all of them. No word is in two parts.
    """
    words: dict[str, list[list[str]]] = {}
    for line in read_verified("cmudict/cmudict.dict", root).decode().splitlines():
        head, *phones = line.partition(" #")[0].split()
        sound = phones if stress else [phone.rstrip("012") for phone in phones]
        known = words.setdefault(re.sub(r"\(\d+\)$", "", head), [])
        # Some pronunciations differ in their stress only.
        if sound not in known:
            known.append(sound)
    spellings = list(words)
    kept, test_part, validation_part = (
        [spellings[index] for index in part.tolist()] for part in divide(spellings, [test, validation], seed)
    )
    pairs = [(word, sound) for word in kept for sound in words[word]]
    train = Records([word for word, _ in pairs], [sound for _, sound in pairs])
    heldout = (
        Records(part, [words[word][0] for word in part], references=[words[word] for word in part])
        for part in (validation_part, test_part)
    )
    return Dataset("cmudict", train, *heldout)
