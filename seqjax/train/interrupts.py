"""Ctrl-C and termination, noted at once and acted upon where the training state is whole."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupted(Exception):
    """Raised by :meth:`Interrupts.poll`; carries the signal."""

    def __init__(self, received: signal.Signals) -> None:
        super().__init__(received.name)
        self.signal = received

    def leave(self) -> BaseException:
        """What ends the program as the signal would have: exit code 130 or 143."""
        if self.signal == signal.SIGINT:
            return KeyboardInterrupt()
        return SystemExit(128 + self.signal)


class Interrupts:
    """Notes SIGINT and SIGTERM while it is open, for loops to poll; a second Ctrl-C acts at once.

    Only a program's main thread may set signal handlers: in any other, nothing is noted.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            # None stands for a handler that was not installed from Python, which Python cannot put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous.clear()

    def poll(self) -> None:
        """Raise :class:`Interrupted` if a signal has come."""
        if self._received is not None:
            raise Interrupted(self._received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._received = signal.Signals(number)
