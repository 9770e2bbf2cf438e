"""How fast sequences are decoded: greedy and with a beam, from the encoder-decoders of two configs."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from seqjax.bench import translations
from seqjax.bench.generation import counting_compilations
from seqjax.bench.machine import Machine, machine
from seqjax.bench.measure import Progress, duration, in_one_line
from seqjax.bench.peers import PEERS
from seqjax.bench.results import OURS, plain
from seqjax.bench.settings import Settings
from seqjax.bench.streaming import Timing, timings
from seqjax.bench.translations import Translation

_SIZES = (
    Translation(
        name="SCAN", batch=64, positions=9, length=49, input_vocabulary=14, vocabulary=8, hidden=128, embedding=32
    ),
    Translation(
        name="CMUdict", batch=64, positions=10, length=20, input_vocabulary=30, vocabulary=41, hidden=160, embedding=64
    ),
)
TRANSLATIONS = tuple(dataclasses.replace(each, beam_size=size) for each in _SIZES for size in (1, 8))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decoding:
    """Seconds that decoding a batch takes, and how many programs ours compiled in all rounds together."""

    translation: Translation
    rows: tuple[Timing, ...]
    failures: dict[str, str]
    compilations: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodingReport:
    """Everything."""

    machine: Machine
    rounds: int
    warmup: int
    peers: dict[str, str | None]
    not_installed: dict[str, str]
    results: list[Decoding] = dataclasses.field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Everything as what JSON can hold."""
        return plain(self)


def bench_decoding(
    settings: Settings,
    report: Callable[[DecodingReport], None] = lambda report: None,
    progress: Progress = lambda text: None,
    problems: Sequence[Translation] | None = None,
) -> DecodingReport:
    """Decode, ours beside a loop in torch, whose greedy tokens must be ours.

    Args:
        settings: rounds, and whether torch is among the peers.
        report: called with the report before the first measurement and after each.
        progress: called with what is going on.
        problems: what is decoded; :data:`TRANSLATIONS` if not given.
    """
    wanted = [name for name in settings.peers if name == "torch"]
    missing = {name: PEERS[name].pip for name in wanted if not PEERS[name].installed}
    result = DecodingReport(
        machine=machine(),
        rounds=settings.rounds,
        warmup=settings.warmup,
        peers={name: PEERS[name].version for name in wanted if name not in missing},
        not_installed=missing,
    )
    report(result)
    for translation in TRANSLATIONS if problems is None else problems:
        progress(f"decoding {translation}")
        compilations: list[float] = []
        runs = {OURS: counting_compilations(translations.ours(translation), compilations)}
        failures: dict[str, str] = {}
        expected = runs[OURS]()
        if "torch" in result.peers:
            try:
                run = translations.torch(translation)
                # Another beam search may find another sequence: ours never loses the greedy one.
                if not np.array_equal(run(), expected) and translation.beam_size == 1:
                    raise AssertionError("the tokens are not ours")
                runs["torch"] = run
            except Exception as error:
                failures["torch"] = in_one_line(error)
        rows = timings({name: partial(duration, run) for name, run in runs.items()}, settings, failures)
        result.results.append(
            Decoding(translation=translation, rows=rows, failures=failures, compilations=len(compilations))
        )
        report(result)
    return result
