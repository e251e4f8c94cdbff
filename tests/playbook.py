"""Written conversations with scripts: each step that is expected, and what it is answered."""

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


def play(
    script: Generator[Any, Any, ResultT], conversation: Sequence[tuple[object, object]]
) -> ResultT:
    """Run `script` to its end; its steps must be exactly those of `conversation`, in order.

    An answer that is an exception is raised at the step. What the script raises, comes out.
    """
    said = 0
    try:
        step = next(script)
        for expected, answer in conversation:
            assert step == expected, f"step {said}: {step} instead of {expected}"
            said += 1
            step = (
                script.throw(answer) if isinstance(answer, BaseException) else script.send(answer)
            )
    except StopIteration as end:
        assert said == len(conversation), f"it ended before {conversation[said][0]}"
        result: ResultT = end.value
        return result
    raise AssertionError(f"one step more than was written down: {step}")
