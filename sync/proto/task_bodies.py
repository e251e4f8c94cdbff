"""What is inside the five envelope kinds about tasks, as bytes and as values.

    TASK     {1: agent, 2: message id, 3: [hop, ...], 4: A2A Message, JSON text, 5: scope}
    RECEIPT  {1: [[envelope id, disposition, reason], ...]}
    PROGRESS {1: A2A TaskStatusUpdateEvent, JSON text}   in reply to the task's id
    RESULT   {1: A2A Task, JSON text}                    in reply to the task's id
    CANCEL   {}                                          in reply to the task's id

Spec, with examples: docs/spec/tasks.md. Any bytes give a value or `MalformedTask`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from identity import cbor
from identity.caps import Scope
from identity.did import Did
from identity.envelope import ENVELOPE_BYTES_MAX
from identity.errors import MalformedCap, MalformedCbor, MalformedDid
from sync.errors import MalformedTask
from sync.proto.task_states import Disposition

BODY_BYTES_MAX = ENVELOPE_BYTES_MAX - 512  # header, audience, times and signature take 250
AGENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
MESSAGE_ID_CHARACTERS_MAX = 128
HOPS_MAX = 4
HOP_CHARACTERS_MAX = 160  # a DID of 56, a slash, a name of 64, and room
RECEIPTS_MAX = 128  # in one envelope; more go into the next
REASON_CHARACTERS_MAX = 300
_ID_BYTES = 32
_DISPOSITIONS = {int(disposition): disposition for disposition in Disposition}


@dataclass(frozen=True, slots=True)
class TaskBody:
    """A task as its author wrote it."""

    agent: str
    message_id: str
    chain: tuple[str, ...]  # agents this work came through, oldest first; the last is the author's
    message: str  # A2A Message, JSON
    scope: Scope | None = None  # what it may use at most; None: the author's own work


@dataclass(frozen=True, slots=True)
class Receipt:
    """One line of a receipt."""

    id: bytes
    disposition: Disposition
    reason: str = ""


def dump_task(body: TaskBody) -> bytes:
    fields = {1: body.agent, 2: body.message_id, 3: list(body.chain), 4: body.message}
    return cbor.dumps(fields if body.scope is None else {**fields, 5: body.scope.to_fields()})


def load_task(data: bytes, author: bytes) -> TaskBody:
    """The task in `data`; `author` is the proven key, which the last hop must name."""
    fields = _map(data, 4, 5)
    agent, message_id, chain, message = fields[1], fields[2], fields[3], fields[4]
    if type(agent) is not str or not AGENT.fullmatch(agent):
        raise MalformedTask("the agent is not a name")
    if type(message_id) is not str or not 0 < len(message_id) <= MESSAGE_ID_CHARACTERS_MAX:
        raise MalformedTask(f"the message id is not 1 to {MESSAGE_ID_CHARACTERS_MAX} characters")
    if type(chain) is not list or len(chain) > HOPS_MAX + is_begun_by_node(chain):
        raise MalformedTask(f"the chain is not an array of at most {HOPS_MAX} hops")
    is_whole = is_begun_by_node(chain)
    if is_whole and len(chain) < 2:
        raise MalformedTask("a chain of no agent")
    hops = [_node(chain[0]), *map(_hop, chain[1:])] if is_whole else [_hop(hop) for hop in chain]
    if hops and hops[-1] != author:
        raise MalformedTask("the last hop is not the author's")
    if type(message) is not str:
        raise MalformedTask("the message is not text")
    scope = _scope(fields[5]) if 5 in fields else None
    return TaskBody(agent, message_id, tuple(chain), message, scope)


def _scope(fields: Any) -> Scope:
    try:
        return Scope.from_fields(fields)
    except MalformedCap as failure:
        raise MalformedTask(str(failure)) from failure


def is_begun_by_node(chain: Sequence[Any]) -> bool:
    """Whether the first hop is the node that began it all, and no agent."""
    return bool(chain) and type(chain[0]) is str and "/" not in chain[0]


def _node(did: str) -> bytes:
    try:
        return Did.parse(did).public_key
    except MalformedDid as failure:
        raise MalformedTask(f"a hop holds no did: {failure.why}") from failure


def _hop(hop: Any) -> bytes:
    """The public key of one `did:key:…/agent`."""
    if type(hop) is not str or len(hop) > HOP_CHARACTERS_MAX:
        raise MalformedTask("a hop is not a short text")
    did, slash, agent = hop.partition("/")
    if not slash or not AGENT.fullmatch(agent):
        raise MalformedTask("a hop is not did:key:…/agent")
    return _node(did)


def dump_receipts(receipts: list[Receipt]) -> bytes:
    return cbor.dumps({1: [[r.id, int(r.disposition), r.reason] for r in receipts]})


def load_receipts(data: bytes) -> list[Receipt]:
    lines = _map(data, 1)[1]
    if type(lines) is not list or not 0 < len(lines) <= RECEIPTS_MAX:
        raise MalformedTask(f"a receipt is not 1 to {RECEIPTS_MAX} lines")
    return [_receipt(line) for line in lines]


def _receipt(line: Any) -> Receipt:
    if type(line) is not list or len(line) != 3:
        raise MalformedTask("a receipt's line is not [id, disposition, reason]")
    id_, disposition, reason = line
    if type(id_) is not bytes or len(id_) != _ID_BYTES:
        raise MalformedTask("a receipt's id is not 32 bytes")
    if type(disposition) is not int or disposition not in _DISPOSITIONS:
        raise MalformedTask("an unknown disposition")
    if type(reason) is not str or len(reason) > REASON_CHARACTERS_MAX:
        raise MalformedTask(f"a reason is not a text of at most {REASON_CHARACTERS_MAX} characters")
    return Receipt(id_, _DISPOSITIONS[disposition], reason)


def dump_json(text: str) -> bytes:
    """The body of a PROGRESS or a RESULT."""
    return cbor.dumps({1: text})


def load_json(data: bytes) -> str:
    text = _map(data, 1)[1]
    if type(text) is not str:
        raise MalformedTask("the body holds no json text")
    return text


CANCEL_BODY = cbor.dumps({})


def load_cancel(data: bytes) -> None:
    if data != CANCEL_BODY:
        raise MalformedTask("a cancel has an empty body")


def _map(data: bytes, fields: int, fields_max: int = 0) -> dict[int, Any]:
    """The map in `data`, which must have exactly the keys 1 to `fields`, or to `fields_max`."""
    try:
        value = cbor.loads(data, size_max=ENVELOPE_BYTES_MAX)
    except MalformedCbor as failure:
        raise MalformedTask(str(failure)) from failure
    counts = {fields, max(fields, fields_max)}
    if (
        type(value) is not dict
        or len(value) not in counts
        or list(value) != list(range(1, len(value) + 1))
    ):
        raise MalformedTask(f"the body is not a map of fields 1 to {fields}")
    return value
