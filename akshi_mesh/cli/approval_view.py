"""A question as lines for a terminal, where nothing in it can pass for one of ours.

What a guest or a peer has written is made inert, its runs of blanks are one blank, and a long
text is cut by us into marked lines: no width of a screen lets a part of it begin a line.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from akshi_mesh.cli import output
from akshi_mesh.inert import inert

if TYPE_CHECKING:
    from akshi_mesh.api.shapes_approvals import ApprovalInfo

CELL_CHARS_MAX = 60  # of what a stranger wrote, in a table
FACT_CHARS_MAX = 300  # in a line of its own; what is longer is cut, and the hash has all of it
LINE_CHARS = 88  # of a request, behind the mark
REQUEST_CHARS_MAX = 2_000  # then the digest must do
MARK = "  | "


def tame(text: str, limit: int = CELL_CHARS_MAX) -> str:
    """One inert line of at most `limit` characters."""
    line = " ".join(inert(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def row(info: "ApprovalInfo") -> tuple[str, ...]:
    """One line of a list."""
    where = "" if info["name"] == "self" else f" on {tame(info['name'])}"
    return (
        info["id"],
        tame(info["agent"]) + where,
        info["capability"],
        f"{info['tier']} {info['score']}",
        _state(info),
        tame(info["summary"]),
    )


def page(info: "ApprovalInfo") -> Iterator[tuple[str, str]]:
    """Everything a person needs to judge it, as label and text; marked lines have no label."""
    yield "question", f"{info['id']} on {tame(info['name'])}"
    yield "state", _state(info)
    yield "agent", f"{tame(info['agent'])}, {tame(info['agent_did'], FACT_CHARS_MAX)}"
    yield "does", f"{tame(info['function'])} ({info['capability']})"
    yield "target", tame(info["target"] or info["summary"], FACT_CHARS_MAX)
    yield "risk", f"{info['tier']}, score {info['score']}"
    for field in info["fields"]:
        yield "", f"  {tame(field, FACT_CHARS_MAX)}"
    if info["price"] or info["payee"]:
        yield "price", f"{tame(info['price'])} to {tame(info['payee'], FACT_CHARS_MAX)}"
    if info["secrets"]:
        yield "secrets", ", ".join(map(tame, info["secrets"]))
    yield "for", tame(info["originator"], FACT_CHARS_MAX)
    if info["chain"]:
        yield "through", " > ".join(tame(hop, FACT_CHARS_MAX) for hop in info["chain"])
    yield "module", tame(info["module_cid"], FACT_CHARS_MAX)
    yield "task", f"{info['task_id']}, call {info['number']}"
    yield "request", f"{info['request_bytes']} bytes, sha256 {info['request_sha256']}"
    yield from (("", line) for line in request_lines(info))
    if info["body_sha256"]:
        yield "body", f"sha256 {info['body_sha256']}"
    yield "hash", f"{info['hash']} (what an answer binds to)"
    for vote in info["votes"]:
        note = f": {tame(vote['note'], FACT_CHARS_MAX)}" if vote["note"] else ""
        yield "vote", f"{vote['decision']} by {tame(vote['name'])}{note}"
    if info["quorum"] > 1:
        yield "needs", f"{info['quorum']} who say yes"
    if info["why"]:
        yield "why", tame(info["why"], FACT_CHARS_MAX)


def request_lines(info: "ApprovalInfo") -> Iterator[str]:
    """The request in marked lines of our own width, cut with a note that says so."""
    text = inert(info["request"])
    for start in range(0, min(len(text), REQUEST_CHARS_MAX), LINE_CHARS):
        yield MARK + text[start : min(start + LINE_CHARS, REQUEST_CHARS_MAX)]
    if info["is_cut"] or len(text) > REQUEST_CHARS_MAX:
        yield "  (cut; the digest above is of all of it)"


def _state(info: "ApprovalInfo") -> str:
    state: str = info["state"]
    if state == "pending":
        left_s = max(0.0, info["expires_ms"] / 1000 - time.time())
        state = f"pending, {output.lasted(left_s)} left"
    if info["answer"] is not None and info["name"] != "self":
        state += f"; we said {info['answer']}: {tame(info['answer_state'])}"
    return state
