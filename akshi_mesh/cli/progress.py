"""How far long work has come, on stderr, while somebody watches; silent everywhere else."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[str], None]


@contextmanager
def progress(what: str, *, steps: int | None = None) -> Iterator[Advance]:
    """A bar of `steps` steps, or one that only moves if their number is not known.

    Yields a function to call after each step, with what was done in a few words. The bar
    goes away at the end, so that the answer stands alone. rich is imported only for a
    terminal.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=steps)

        def advance(done: str) -> None:
            bars.update(bar, advance=1, description=done)

        yield advance
