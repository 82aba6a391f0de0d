"""Signals: Ctrl-C before a command has begun is one line, as later; what a handler of the user's raises is nobody's fault."""

import contextlib
import os
import signal
import traceback
from typing import Any


def _end(*_: Any) -> None:
    # Not by an exception, which imports and the parser of the command line take for an error of their own.
    with contextlib.suppress(OSError):
        os.write(2, b"theorylab: interrupted\n")
    os._exit(130)


def ends_all() -> None:
    """Have Ctrl-C, and SIGTERM as it, end the process: nothing has begun that would have to be ended."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _end)


def is_raised() -> None:
    """Have both raise a KeyboardInterrupt from here on: workers are ended, and a study says how to resume it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is _end:  # not where a shell's background, or a caller, has another
            signal.signal(number, signal.default_int_handler)


def from_handler(error: BaseException) -> bool:
    """Whether a handler of a signal raised an error, as a timeout of the user's: what it interrupted is not to be blamed.

    Examples
    --------
    >>> from_handler(ValueError("of a picture"))
    False
    """
    handlers = [getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()]
    return any(frame.f_code in handlers for frame, _ in traceback.walk_tb(error.__traceback__))
