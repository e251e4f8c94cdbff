"""Ask a language model. What it answers is words, and nothing in them is done."""

from sandbox.outside import ModelPort, StillAllowed
from sandbox.ports import TaskRun
from sandbox.prompt import ModelAnswer, Prompt


async def prompt(
    port: ModelPort, task: TaskRun, wish: Prompt, *, still: StillAllowed, halted: StillAllowed
) -> ModelAnswer:
    """What the model answered, and what that did cost.

    Args:
        port: the models of this node.
        task: whose call it is.
        wish: what is asked.
        still: why to stop at once, or None.
        halted: likewise, where money is spent.
    """
    route = port.route(task.agent, wish)

    def still_allowed() -> str | None:
        return still() or (halted() if route.ceiling is not None else None)

    return await port.prompt(task.agent, route, wish, still_allowed=still_allowed)
