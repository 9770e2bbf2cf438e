"""What a law is, how one is broken, and the list of them all."""

import dataclasses
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import jax

from seqjax.cells import Cell
from seqjax.errors import SeqjaxError
from seqjax.laws.subject import Subject

LAWS: dict[str, "Law"] = {}
"""Every law by name; those that the others rest on come first."""


class LawBroken(SeqjaxError, AssertionError):
    """A cell that does not obey a law.

    Attributes:
        law: the law's name.
        cell: the cell's name.
        problem: what was got, what was expected, and where.
        cause: what is likely wrong.
        move: what to do next.
    """

    def __init__(self, problem: str, cause: str = "", move: str = "") -> None:
        self.law, self.cell, self.says = "", "", ""
        self.problem, self.cause, self.move = problem, cause, move
        super().__init__(problem)

    def __str__(self) -> str:
        lines = [f"{self.cell} breaks the law {self.law}: {self.says}"] if self.law else []
        lines += [f"  {line}" for line in self.problem.splitlines()]
        if self.cause:
            lines += [f"  likely cause: {self.cause}"]
        if self.move:
            lines += [f"  next: {self.move}"]
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Law:
    """Something that every cell obeys.

    Attributes:
        name: as cells name it in ``law_exceptions``.
        says: what it demands, in one sentence.
        first: the laws that are not cannot be judged while one of these is broken.
        function: raises :class:`LawBroken`.
    """

    name: str
    says: str
    first: bool
    function: Callable[[Subject], None]

    def check(self, subject: Subject) -> None:
        """Raise :class:`LawBroken` if the subject's cell does not obey."""
        try:
            with jax.enable_x64(not subject.full):
                self.function(subject)
        except LawBroken as broken:
            self._signed(broken, subject)
            raise
        except Exception as error:
            problem = f"{type(error).__name__}: {_first_lines(error)}"
            raise self._signed(LawBroken(problem + _raised_at(error, subject)), subject) from error

    def _signed(self, broken: LawBroken, subject: Subject) -> LawBroken:
        broken.law, broken.cell, broken.says = self.name, type(subject.cell).__name__, self.says
        return broken


def law(*, first: bool = False) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Register a function as the law of its name; its docstring's first line is what the law says."""

    def register(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        name, says = getattr(function, "__name__", ""), (function.__doc__ or "").strip().splitlines()[0]
        LAWS[name] = Law(name=name, says=says, first=first, function=function)
        return function

    return register


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a cell stands to a law.

    Attributes:
        law: the law.
        status: ``"exception"`` is one that the cell declares; ``"open"`` was not looked at, because a law that this
            one rests on is broken.
        reason: of an exception, or what is broken.
    """

    law: Law
    status: Literal["ok", "broken", "exception", "open"]
    reason: str = ""


def judge(cell: Cell, *, full: bool = False) -> Iterator[Verdict]:
    """Check a cell against every law, one verdict after the other.

    Args:
        cell: with small sizes, as each law runs it many times.
        full: every law in every case, mode and size, which takes several times as long.

    Example:
        >>> import seqjax
        >>> cell = seqjax.cells.LSTM(input_size=3, hidden_size=4)
        >>> next(seqjax.laws.judge(cell)).status
        'ok'
    """
    subject, sound = Subject(cell, full=full), True
    for each in sorted(LAWS.values(), key=lambda law: not law.first):
        reason = cell.law_exceptions.get(each.name)
        if reason:
            yield Verdict(law=each, status="exception", reason=reason)
            continue
        if not (sound or each.first):
            yield Verdict(law=each, status="open")
            continue
        try:
            each.check(subject)
        except LawBroken as broken:
            sound = False if each.first else sound
            yield Verdict(law=each, status="broken", reason=str(broken))
        else:
            yield Verdict(law=each, status="ok")


def _first_lines(error: Exception, lines: int = 4) -> str:
    return "\n".join((str(error).strip() or "no message").splitlines()[:lines])


def _raised_at(error: Exception, subject: Subject) -> str:
    """The innermost line of the cell's own file that the error passed through."""
    files = {str(Path(code.co_filename)) for code in subject.code()}
    own: list[Any] = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in files]
    return f"\nat {Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}" if own else ""
