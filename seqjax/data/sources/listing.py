"""The sources by name, without the code that reads them."""

from seqjax.data.sources.source import Source

_FOLDS = "seeded test and validation parts; published results are of ten-fold cross-validation"
_VALIDATION = "the official test part; a seeded part of the training part for validation"
_OFFICIAL = "the three official parts"
_MADE = "made from a seed, no record in two parts"
_TASK = "made from a seed"
_CHRONOLOGICAL = "in chronological order; scaled by the training part"
_UCI = "CC BY 4.0"
_STANFORD = "for research; no licence stated"
_FACTS = "public domain"


def _task(name: str, what: str) -> Source:
    return Source(what=what, licence="", split=_TASK, load=f"memory:{name.replace('-', '_')}")


def _series(name: str, what: str) -> Source:
    return Source(
        what=what,
        licence=_FACTS,
        split=_CHRONOLOGICAL,
        load="series:univariate",
        preset={"series": name},
        download=name,
    )


def _music(name: str, what: str) -> Source:
    return Source(
        what=what,
        licence="MIT for the files, music in the public domain or by its transcribers",
        split=_OFFICIAL,
        load="music:piano_rolls",
        preset={"collection": name},
        download=name,
    )


SOURCES: dict[str, Source] = {
    "mr": Source(
        what="sentences of film reviews, positive or negative",
        licence="CC BY 4.0",
        split=_FOLDS,
        load="sentences:two_files",
        preset={"corpus": "mr"},
        download="mr",
    ),
    "subj": Source(
        what="sentences on films, subjective or objective",
        licence="CC BY 4.0",
        split=_FOLDS,
        load="sentences:two_files",
        preset={"corpus": "subj"},
        download="subj",
    ),
    "sst2": Source(
        what="sentences of film reviews, positive or negative",
        licence=_STANFORD,
        split=_OFFICIAL,
        load="sentences:treebank",
        preset={"corpus": "sst2"},
        download="sst2",
    ),
    "sst5": Source(
        what="sentences of film reviews, from very negative to very positive",
        licence=_STANFORD,
        split=_OFFICIAL,
        load="sentences:treebank",
        preset={"corpus": "sst5"},
        download="sst5",
    ),
    "trec": Source(
        what="questions and what they ask for",
        licence=_STANFORD,
        split=_VALIDATION,
        load="sentences:questions",
        download="trec",
    ),
    "splice": Source(
        what="60 bases of primate DNA and what junction is in the middle",
        licence=_UCI,
        split="a seeded fifth for the test and a tenth for validation",
        load="dna:splice",
        download="splice",
    ),
    "promoters": Source(
        what="57 bases of bacterial DNA, with a promoter or not",
        licence=_UCI,
        split="a seeded fifth for the test and a tenth for validation",
        load="dna:promoters",
        download="promoters",
    ),
    "names": Source(
        what="family names and their languages, 18 of them",
        licence="MIT",
        split="a seeded tenth each for test and validation; no name is in two parts",
        load="names:names",
        download="names",
    ),
    "mnist": Source(
        what="handwritten digits by rows or pixels",
        licence="CC BY-SA 3.0",
        split=_VALIDATION,
        load="images:mnist",
        download="mnist",
    ),
    "digits": Source(
        what="small handwritten digits by rows or pixels, from scikit-learn",
        licence="BSD",
        split="a seeded fifth for the test and a tenth for validation",
        load="images:digits",
    ),
    "mnist1d": Source(
        what="curves of 40 steps, each a digit",
        licence="Apache 2.0",
        split=_VALIDATION,
        load="images:mnist1d",
        download="mnist1d",
    ),
    "snips": Source(
        what="commands to an assistant, slots of their words, and intents",
        licence="CC0",
        split=_OFFICIAL,
        load="tagging:snips",
        download="snips",
    ),
    "ud-ewt": Source(
        what="English of the web with parts of speech",
        licence="CC BY-SA 4.0",
        split=_OFFICIAL,
        load="tagging:ud_ewt",
        download="ud-ewt",
    ),
    "scan": Source(
        what="commands and the actions they ask for",
        licence="BSD",
        split=_VALIDATION,
        load="commands:scan",
        download="scan",
    ),
    "cmudict": Source(
        what="English words and how they sound",
        licence="BSD",
        split="a seeded twentieth of the words each for test and validation",
        load="pronunciation:cmudict",
        download="cmudict",
    ),
    "french-english": Source(
        what="sentences and their translations",
        licence="CC BY 2.0",
        split="seeded parts of 2 % for test and validation; no sentence of either language is in two parts",
        load="translation:french_english",
        download="french-english",
    ),
    "spoken-digits": Source(
        what="recordings of single digits as log-mel features",
        licence="CC BY-SA 4.0",
        split=_VALIDATION,
        load="speech:spoken_digits",
        file="speech:recording",
        download="spoken-digits",
    ),
    "spoken-digit-strings": Source(
        what="recordings of digits one after the other as log-mel features",
        licence="CC BY-SA 4.0",
        split="strings made from the recordings of each part of spoken-digits",
        load="speech:spoken_digit_strings",
        file="speech:recording",
        download="spoken-digits",
    ),
    "handwritten-words": Source(
        what="words as columns of pixels, or their letters one by one",
        licence="no licence stated",
        split="of 10 official folds one for the test and one for validation",
        load="handwriting:handwritten_words",
        download="handwritten-words",
    ),
    "jsb": _music("jsb", "chorales by Bach as piano rolls"),
    "nottingham": _music("nottingham", "folk tunes as piano rolls"),
    "musedata": _music("musedata", "classical music as piano rolls"),
    "piano-midi": _music("piano-midi", "classical piano music as piano rolls"),
    "progressions": Source(
        what="made songs as piano rolls: chords and a tune",
        licence="",
        split=_MADE,
        load="progressions:progressions",
    ),
    "airline": _series("airline", "airline passengers by month, 1949 to 1960"),
    "sunspots": _series("sunspots", "sunspots by month, 1749 to 1983"),
    "minimum-temperatures": _series("minimum-temperatures", "daily minimum temperatures of Melbourne, 1981 to 1990"),
    "maximum-temperatures": _series("maximum-temperatures", "daily maximum temperatures of Melbourne, 1981 to 1990"),
    "beijing-pm25": Source(
        what="fine dust and weather in Beijing by hour, 2010 to 2014",
        licence=_UCI,
        split=_CHRONOLOGICAL,
        load="series:beijing",
        download="beijing-pm25",
    ),
    "reversal": Source(what="strings to be said backwards", licence="", split=_MADE, load="strings:reversal"),
    "string-copy": Source(what="strings to be said again", licence="", split=_MADE, load="strings:string_copy"),
    "dates": Source(
        what="dates as people write them, and in the form 1987-03-03", licence="", split=_MADE, load="strings:dates"
    ),
    "arithmetic": Source(what="sums and their results", licence="", split=_MADE, load="strings:arithmetic"),
    "formal-language": Source(
        what="strings that belong to a formal language or do not",
        licence="",
        split="made from a seed; the test has longer strings",
        load="languages:formal_language",
    ),
    "tone-strings": Source(
        what="digits as the tones of a telephone, as log-mel features",
        licence="",
        split=_TASK,
        load="speech:tone_strings",
        file="speech:recording",
    ),
    "sines": Source(what="the sum of three sines with noise", licence="", split=_CHRONOLOGICAL, load="series:sines"),
    "tab-separated": Source(
        what="records of one's own: lines of an input, a tab and a target",
        licence="",
        split="by files, or seeded parts of one",
        load="tables:tab_separated",
    ),
    "adding": _task("adding", "numbers two of which are to be added"),
    "copy": _task("copy", "symbols to be repeated after a delay"),
    "recall": _task("recall", "symbols to be said a fixed number of steps later"),
    "temporal-order": _task("temporal-order", "symbols two of which come in one of four orders"),
    "parity": _task("parity", "bits and whether the number of ones so far is odd"),
}
"""All of them, by name."""
