"""Strings made from a seed, and what they are to be turned into; nothing to download."""

import datetime
from collections.abc import Callable
from typing import Any, TypeVar

from seqjax.data.draws import Draws
from seqjax.data.records import Dataset, Records
from seqjax.errors import DataError

Drawn = TypeVar("Drawn")

# fmt: off
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)
# fmt: on
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def reversal(
    letters: int = 10,
    shortest: int = 3,
    longest: int = 10,
    train: int = 5000,
    validation: int = 500,
    test: int = 500,
    seed: int = 0,
) -> Dataset:
    """Strings of letters, to be said backwards."""
    return _of_strings("reversal", lambda text: text[::-1], letters, shortest, longest, (train, validation, test), seed)


def string_copy(
    letters: int = 10,
    shortest: int = 3,
    longest: int = 10,
    train: int = 5000,
    validation: int = 500,
    test: int = 500,
    seed: int = 0,
) -> Dataset:
    """Strings of letters, to be said again."""
    return _of_strings("string-copy", lambda text: text, letters, shortest, longest, (train, validation, test), seed)


def dates(train: int = 10_000, validation: int = 500, test: int = 1000, seed: int = 0) -> Dataset:
    """Days from 1900 to 2099 as people write them, such as ``Tuesday, March 3, 1987``, to the form ``1987-03-03``.

    No day is in two parts.
    """
    first = datetime.date(1900, 1, 1).toordinal()
    days = datetime.date(2100, 1, 1).toordinal() - first
    drawn = distinct(lambda draws: draws.integer(0, days), train + validation + test, Draws(seed, 0))
    draws = Draws(seed, 1)
    pairs = []
    for number in drawn:
        day = datetime.date.fromordinal(first + number)
        pairs.append((_written(day, draws.integer(0, 6)), day.isoformat()))
    return _parts("dates", pairs, (train, validation, test))


def arithmetic(
    digits: int = 3, operators: str = "+-", train: int = 20_000, validation: int = 500, test: int = 1000, seed: int = 0
) -> Dataset:
    """Sums and differences of two whole numbers of up to so many digits, such as ``12+345`` to ``357``.

    Raises:
        DataError: operators other than ``+``, ``-`` and ``*``, or fewer expressions than asked for.
    """
    if not operators or set(operators) - set("+-*"):
        raise DataError(f"arithmetic: operators must be some of '+-*', got {operators!r}")

    def expression(draws: Draws) -> tuple[int, str, int]:
        a, b = (draws.integer(0, 10 ** draws.integer(1, digits + 1)) for _ in range(2))
        return a, operators[draws.integer(0, len(operators))], b

    drawn = distinct(expression, train + validation + test, Draws(seed))
    pairs = [(f"{a}{sign}{b}", str({"+": a + b, "-": a - b, "*": a * b}[sign])) for a, sign, b in drawn]
    return _parts("arithmetic", pairs, (train, validation, test))


def distinct(draw: Callable[[Draws], Drawn], count: int, draws: Draws) -> list[Drawn]:
    """So many different results of a draw.

    Raises:
        DataError: a thousand draws in a row gave nothing new.
    """
    found: dict[Any, None] = {}
    idle = 0
    while len(found) < count:
        before = len(found)
        found[draw(draws)] = None
        idle = 0 if len(found) > before else idle + 1
        if idle == 1000:
            raise DataError(f"{count} different records are asked for, and there are hardly more than {before}")
    return list(found)


def _of_strings(
    name: str,
    turned: Callable[[str], str],
    letters: int,
    shortest: int,
    longest: int,
    sizes: tuple[int, int, int],
    seed: int,
) -> Dataset:
    if not 1 <= letters <= 26 or not 1 <= shortest <= longest:
        raise DataError(
            f"{name}: expected 1 to 26 letters and 1 <= shortest <= longest, got {letters}, {shortest} and {longest}"
        )

    def text(draws: Draws) -> str:
        return "".join(chr(ord("a") + n) for n in draws.integers(0, letters, draws.integer(shortest, longest + 1)))

    return _parts(name, [(each, turned(each)) for each in distinct(text, sum(sizes), Draws(seed))], sizes)


def _parts(name: str, pairs: list[tuple[str, str]], sizes: tuple[int, int, int]) -> Dataset:
    parts, start = [], 0
    for size in sizes:
        chosen = pairs[start : start + size]
        parts.append(Records([a for a, _ in chosen], [b for _, b in chosen]))
        start += size
    return Dataset(name, *parts)


def _written(day: datetime.date, form: int) -> str:
    month, weekday = _MONTHS[day.month - 1], _WEEKDAYS[day.weekday()]
    return (
        f"{day.day} {month} {day.year}",
        f"{month} {day.day}, {day.year}",
        f"{day.day} {month[:3].lower()} {day.year}",
        f"{day.month}/{day.day}/{day.year}",
        f"{weekday}, {month} {day.day}, {day.year}",
        f"{weekday[:3].lower()} {day.day}.{day.month}.{day.year}",
    )[form]
