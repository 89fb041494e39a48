"""Finds what still holds a secret in this process, and what lives in it.

To list all objects is to hold them, and a tuple that somebody else holds while a thread fills it can never be finished:
whatever the thread did has failed. So other threads wait while we look, and we have let go of everything when they go on.
"""

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, FunctionType
from weakref import ReferenceType

_NEVER = (FrameType, FunctionType, type, ReferenceType)
"""Kinds of values that hold others which are looked at by themselves."""


def holders(needle: bytes) -> list[str]:
    """The types of all values that hold bytes or text with ``needle`` in it, but for ``needle`` itself.

    Looks at everything that the collector of garbage can reach, after it has run.
    """
    text = needle.decode("ascii")

    def has(held: object) -> bool:
        if held is needle or held is text:
            return False
        return (isinstance(held, bytes | bytearray) and needle in held) or (
            isinstance(held, str) and text in held
        )

    def holds(holder: object) -> bool:
        return not isinstance(holder, _NEVER) and any(has(held) for held in gc.get_referents(holder))

    return [f"{type(each).__module__}.{type(each).__qualname__}" for each in living(holds)]


def living(wanted: Callable[[object], bool]) -> list[object]:
    """Those of all values that the collector of garbage can reach which are ``wanted``, after it has run."""
    with _alone():
        gc.collect()
        return [each for each in gc.get_objects() if wanted(each)]


@contextmanager
def _alone() -> Iterator[None]:
    """No other thread has a turn within the block, as long as that computes only."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    try:
        # Who waits for a turn already would still ask for it after the old interval.
        threading.Event().wait(4 * interval)
        yield
    finally:
        sys.setswitchinterval(interval)
