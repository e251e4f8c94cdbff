"""What another node says about a task, told as its words; what to type, made of our own facts.

A peer may say anything: a second line that looks like ours, a command that grants it the world.
So its words are quoted, on one line and cut, and never become a hint.
"""

from akshi_mesh.inert import inert
from identity.did import Did
from sync.proto.task_states import REFUSED_RIGHT
from sync.proto.task_views import TaskView

WORDS_CHARACTERS_MAX = 1_000  # of a peer, shown beside a task; the result holds them whole


def quoted(name: str, words: str) -> str:
    r"""What the node called `name` says, on one line.

    >>> quoted("bob", 'no\nhint: type "this"')
    'bob says "no\\nhint: type \'this\'"'
    """
    cut = words[:WORDS_CHARACTERS_MAX].replace('"', "'")
    return f'{name} says "{inert(cut)}"'


def remedy_there(view: TaskView, *, me: Did) -> str:
    """What the operator of the peer would type, if it refused a task of ours for want of a right.

    The peer's words only choose between this line and none.
    """
    if view.is_by_peer and view.reason.startswith(REFUSED_RIGHT):
        return f"on the other machine: {_grant(me, view.agent)}"
    return ""


def remedy_here(view: TaskView) -> str:
    """What we would type to allow a task that we refused for want of a right."""
    # What was turned away has no result, so the reason is ours and not an agent's.
    is_turned_away = view.role == "received" and view.is_ended and view.result is None
    if is_turned_away and view.reason.startswith(REFUSED_RIGHT):
        return _grant(Did(view.peer), view.agent)
    return ""


def _grant(did: Did, agent: str) -> str:
    return f"akshi-node trust add {did} --allow a2a:{agent}"
