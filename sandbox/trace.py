"""What a task that has ended was told by the node, so that it can be run again and compared.

A trace holds the task as the guest got it, every call with the hash of what was asked and the
answer, and the end. It reaches nothing: whoever replays it answers calls out of it.

    docs/spec/agent-abi.md, "Traces", has the CBOR map.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

from identity import cbor
from identity.errors import IdentityError
from sandbox.errors import MalformedTrace
from sandbox.fault import Fault, FaultCode
from sandbox.kept import Answer

TRACE_BYTES_MAX: Final = 256 * 1024  # a task that was told more is not kept
CALLS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Told:
    """One call: which function, the hash of the request, the answer."""

    function: str
    request_hash: bytes
    answer: Answer


@dataclass(frozen=True, slots=True)
class Trace:
    """One task, from its message to its end.

    Attributes:
        sender, message_json: what the guest's `run` was called with, beside the id.
        module_cid: of the component that ran.
        end: `ok` with the parts as JSON, or the code of the failure with its reason.
    """

    task_id: bytes
    agent: str
    sender: str
    message_json: str
    module_cid: str
    calls: tuple[Told, ...]
    end: tuple[str, str]

    def to_cbor(self) -> bytes | None:
        """The canonical bytes; None where they are more than is kept."""
        calls: list[cbor.Value] = [
            [c.function, c.request_hash, *_written(c.answer)] for c in self.calls
        ]
        data = cbor.dumps(
            {
                1: self.task_id,
                2: self.agent,
                3: self.sender,
                4: self.message_json,
                5: self.module_cid,
                6: calls,
                7: list(self.end),
            }
        )
        return data if len(data) <= TRACE_BYTES_MAX else None

    @classmethod
    def from_cbor(cls, data: bytes) -> Self:
        """Read what `to_cbor` wrote.

        Raises:
            MalformedTrace: anything else.
        """
        try:
            fields: Any = cbor.loads(data, size_max=TRACE_BYTES_MAX)
        except IdentityError as malformed:
            raise MalformedTrace(why=str(malformed)) from malformed
        if type(fields) is not dict or list(fields) != list(range(1, 8)):
            raise MalformedTrace(why="want the keys 1 to 7")
        task_id, *texts, calls, end = fields.values()
        if type(task_id) is not bytes or any(type(text) is not str for text in texts):
            raise MalformedTrace(why="a field has the wrong type")
        if type(calls) is not list or len(calls) > CALLS_MAX:
            raise MalformedTrace(why="want a list of calls")
        if type(end) is not list or [type(text) for text in end] != [str, str]:
            raise MalformedTrace(why="want an end in two texts")
        agent, sender, message_json, module_cid = texts
        told = tuple(map(_read_call, calls))
        return cls(task_id, agent, sender, message_json, module_cid, told, (end[0], end[1]))


def _written(answer: Answer) -> list[str]:
    if isinstance(answer, Fault):
        return [answer.code.value, answer.why]
    return ["ok", answer]


def _read_call(call: object) -> Told:
    if type(call) is not list or [type(item) for item in call] != [str, bytes, str, str]:
        raise MalformedTrace(why="a call that is none")
    function, request_hash, code, text = call
    if code == "ok":
        return Told(function, request_hash, text)
    if code not in list(FaultCode):
        raise MalformedTrace(why="a call that was answered with no known code")
    return Told(function, request_hash, Fault(FaultCode(code), text))
