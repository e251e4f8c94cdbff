"""One request on its way: who may call it back, and whether any of it has left the node.

The connection under a request is found, made and reused by others, so the errand travels
in the context of the task that makes the request; streams ask it before every byte.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sandbox.net.errors import Halted


class Errand:
    """`still_allowed` gives a reason to stop, or None; `has_left`: a byte may be outside."""

    __slots__ = ("has_left", "still_allowed")

    def __init__(self, still_allowed: Callable[[], str | None]) -> None:
        self.still_allowed = still_allowed
        self.has_left = False

    def check(self) -> None:
        """Raise `Halted` if there is a reason to stop."""
        why = self.still_allowed()
        if why is not None:
            raise Halted(why)


_current: ContextVar[Errand | None] = ContextVar("errand", default=None)


@contextmanager
def errand(still_allowed: Callable[[], str | None]) -> Iterator[Errand]:
    """Everything that this task sends inside is part of one errand."""
    new = Errand(still_allowed)
    token = _current.set(new)
    try:
        yield new
    finally:
        _current.reset(token)


def current_errand() -> Errand | None:
    """The errand that this task is on, if it is on one."""
    return _current.get()


def about_to_send() -> None:
    """Called by a stream right before bytes leave. Raises `Halted`."""
    current = _current.get()
    if current is not None:
        current.check()
        current.has_left = True


def about_to_receive() -> None:
    """Called by a stream before it waits for more bytes. Raises `Halted`."""
    current = _current.get()
    if current is not None:
        current.check()
