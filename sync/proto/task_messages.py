"""A2A 1.0 as JSON text: which Message, Task and status update we accept, and how we write them.

Names and states are those of the A2A 1.0 data model (specification/a2a.proto of a2aproject/A2A, in
its ProtoJSON form: lowerCamelCase, enums by name). Strict: a duplicate key, an unknown field, a
number that is not JSON or text that is not Unicode is `MalformedTask`. Text goes through as it
came: parsed once to be checked, never written anew.
"""

import base64
import binascii
import functools
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from sync.errors import MalformedTask
from sync.proto.task_states import (
    ENDED,
    Cancelled,
    Completed,
    Failed,
    Outcome,
    Rejected,
    TaskState,
)

PARTS_MAX = 64
NAME_CHARACTERS_MAX = 128  # of ids
DEPTH_MAX = 32  # arrays and objects within `data` and `metadata`
_MESSAGE = {
    *("messageId", "contextId", "taskId", "role", "parts", "metadata"),
    *("extensions", "referenceTaskIds"),
}
_CONTENT = {"text", "raw", "url", "data"}
_PART = _CONTENT | {"metadata", "filename", "mediaType"}
_STATUS = {"state", "message", "timestamp"}
_TASK = {"id", "contextId", "status", "artifacts", "history", "metadata"}
_ARTIFACT = {"artifactId", "name", "description", "parts", "metadata", "extensions"}
_UPDATE = {"taskId", "contextId", "status", "metadata"}
_STATES = {state.value: state for state in TaskState}


@dataclass(frozen=True, slots=True)
class Message:
    """What we need to know of an A2A Message."""

    message_id: str
    context_id: str | None


# --- reading --------------------------------------------------------------------------------------


def check_message(text: str) -> Message:
    """The Message a task begins with."""
    message = _object(_load(text), _MESSAGE, "message")
    if "taskId" in message:
        raise MalformedTask("the message continues a task, which is not supported")
    if message.get("role") != "ROLE_USER":
        raise MalformedTask("the role of a task's message is ROLE_USER")
    _check_message(message)
    return Message(message["messageId"], message.get("contextId"))


def check_parts(text: str) -> None:
    """A JSON array of parts, as an agent returns it."""
    _check_parts(_load(text))


def check_result(text: str, task_id: str) -> TaskState:
    """The state in which the Task in `text` ended; it must be the one with `task_id`."""
    task = _object(_load(text), _TASK, "task")
    if task.get("id") != task_id:
        raise MalformedTask("the result is about another task")
    _name(task, "contextId", "task")
    state = _check_status(task.get("status"))
    if state not in ENDED:
        raise MalformedTask(f"a result does not say {state}")
    for artifact in _array(task.get("artifacts", []), "artifacts"):
        _check_artifact(artifact)
    for message in _array(task.get("history", []), "history"):
        _check_message(_object(message, _MESSAGE, "message"))
    _check_struct(task, "metadata")
    return state


def check_update(text: str, task_id: str) -> TaskState:
    """The state that a TaskStatusUpdateEvent reports of the task with `task_id`."""
    update = _object(_load(text), _UPDATE, "update")
    if update.get("taskId") != task_id:
        raise MalformedTask("the progress is of another task")
    _required_name(update, "contextId", "update")
    _check_struct(update, "metadata")
    return _check_status(update.get("status"))


def state_of(text: str) -> TaskState:
    """The state in a checked Task or update."""
    return TaskState(json.loads(text)["status"]["state"])


def words_of(text: str) -> str:
    """The plain text in the status of a checked Task or update; empty if there is none."""
    message = json.loads(text)["status"].get("message")
    if message is None:
        return ""
    return "\n".join(part["text"] for part in message["parts"] if "text" in part)


def _load(text: str) -> Any:
    try:
        value = _DECODER.decode(text)
    except RecursionError as failure:
        raise MalformedTask("json too deep") from failure
    except ValueError as failure:
        if isinstance(failure, MalformedTask):
            raise
        raise MalformedTask(f"json: {str(failure)[:80].lower()}") from failure
    if "\\ud" in text or "\\uD" in text or not text.isascii():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError) as failure:
            raise MalformedTask("json holds half a character") from failure
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedTask("json with a duplicate key")
    return value


def _no_constant(name: str) -> NoReturn:
    raise MalformedTask(f"json holds {name}")


def _finite(digits: str) -> float:
    # What overflows to infinity is read here, and can be written by no strict reader of ours.
    number = float(digits)
    if not math.isfinite(number):
        raise MalformedTask("json holds a number that is not finite")
    return number


def _integer(digits: str) -> int:
    # Twenty characters hold every 64-bit number.
    if len(digits) > 20:
        raise MalformedTask("json holds a number beyond 64 bits")
    return int(digits)


# Made once: `json.loads` with hooks makes one for each text.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_no_duplicates,
    parse_constant=_no_constant,
    parse_float=_finite,
    parse_int=_integer,
)


def _object(value: Any, fields: set[str], what: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise MalformedTask(f"the {what} is not an object")
    if not value.keys() <= fields:
        unknown = sorted(value.keys() - fields)[0]
        raise MalformedTask(f"the {what} has an unknown field {unknown[:40]!r}")
    return value


def _array(value: Any, what: str) -> list[Any]:
    if type(value) is not list:
        raise MalformedTask(f"{what} is not an array")
    return value


def _required_name(value: dict[str, Any], field: str, what: str) -> None:
    if field not in value:
        raise MalformedTask(f"the {what} has no {field}")
    _name(value, field, what)


def _name(value: dict[str, Any], field: str, what: str) -> None:
    """An id, if there is one: a text that is neither empty nor a novel."""
    if field not in value:
        return
    name = value[field]
    if type(name) is not str or not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise MalformedTask(f"{field} of the {what} is not 1 to {NAME_CHARACTERS_MAX} characters")


def _check_message(message: dict[str, Any]) -> None:
    _required_name(message, "messageId", "message")
    _name(message, "contextId", "message")
    _name(message, "taskId", "message")
    if message.get("role") not in ("ROLE_USER", "ROLE_AGENT"):
        raise MalformedTask("the role is neither ROLE_USER nor ROLE_AGENT")
    _check_parts(message.get("parts"))
    _check_struct(message, "metadata")
    _check_texts(message, "extensions")
    _check_texts(message, "referenceTaskIds")


def _check_parts(parts: Any) -> None:
    if not 0 < len(_array(parts, "parts")) <= PARTS_MAX:
        raise MalformedTask(f"there are not 1 to {PARTS_MAX} parts")
    for part in parts:
        content = _object(part, _PART, "part").keys() & _CONTENT
        if len(content) != 1:
            raise MalformedTask("a part has not exactly one of text, raw, url, data")
        kind = content.pop()
        if kind == "data":
            _check_depth(part["data"], DEPTH_MAX)
        elif type(part[kind]) is not str:
            raise MalformedTask(f"{kind} of a part is not text")
        elif kind == "raw":
            _check_base64(part["raw"])
        for field in ("filename", "mediaType"):
            if type(part.get(field, "")) is not str:
                raise MalformedTask(f"{field} of a part is not text")
        _check_struct(part, "metadata")


def _check_base64(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as failure:
        raise MalformedTask("raw of a part is not base64") from failure


def _check_artifact(value: Any) -> None:
    artifact = _object(value, _ARTIFACT, "artifact")
    _required_name(artifact, "artifactId", "artifact")
    _check_parts(artifact.get("parts"))
    for field in ("name", "description"):
        if type(artifact.get(field, "")) is not str:
            raise MalformedTask(f"{field} of the artifact is not text")
    _check_struct(artifact, "metadata")
    _check_texts(artifact, "extensions")


def _check_status(value: Any) -> TaskState:
    status = _object(value, _STATUS, "status")
    state = status.get("state")
    if type(state) is not str or state not in _STATES:
        raise MalformedTask("the status has no state of a2a 1.0")
    if "message" in status:
        _check_message(_object(status["message"], _MESSAGE, "message"))
    if type(status.get("timestamp", "")) is not str:
        raise MalformedTask("the timestamp is not text")
    return _STATES[state]


def _check_struct(value: dict[str, Any], field: str) -> None:
    if field in value:
        if type(value[field]) is not dict:
            raise MalformedTask(f"{field} is not an object")
        _check_depth(value[field], DEPTH_MAX)


def _check_texts(value: dict[str, Any], field: str) -> None:
    if field in value and not all(type(text) is str for text in _array(value[field], field)):
        raise MalformedTask(f"{field} holds something else than text")


def _check_depth(value: Any, left: int) -> None:
    if type(value) in (dict, list):
        if not left:
            raise MalformedTask(f"json deeper than {DEPTH_MAX}")
        for item in value.values() if type(value) is dict else value:
            _check_depth(item, left - 1)


# --- writing --------------------------------------------------------------------------------------


def user_message(parts: str, message_id: str, context_id: str | None = None) -> str:
    """The Message with these parts (JSON array, checked) that begins a task."""
    context = "" if context_id is None else f'"contextId":{json.dumps(context_id)},'
    return f'{{"messageId":{json.dumps(message_id)},{context}"role":"ROLE_USER","parts":{parts}}}'


def text_parts(text: str) -> str:
    """A JSON array of one part."""
    return json.dumps([{"text": text}], ensure_ascii=False, separators=(",", ":"))


def result_task(task_id: str, context_id: str | None, outcome: Outcome, wall_ms: int) -> str:
    """The A2A Task that reports `outcome`."""
    context = context_id or task_id
    head = f'{{"id":"{task_id}","contextId":{json.dumps(context)},"status":{{"state":'
    match outcome:
        case Completed(parts):
            return (
                f'{head}"{TaskState.COMPLETED}","timestamp":"{timestamp(wall_ms)}"}},'
                f'"artifacts":[{{"artifactId":"result","parts":{parts}}}]}}'
            )
        case Cancelled(why):
            state, code = TaskState.CANCELED, "cancelled"
        case Failed(code, why):
            state = TaskState.FAILED
        case Rejected(code, why):
            state = TaskState.REJECTED
    words = agent_message(why, task_id, context)
    return (
        f'{head}"{state}","message":{words},"timestamp":"{timestamp(wall_ms)}"}},'
        f'"metadata":{{"code":{json.dumps(code)}}}}}'
    )


def readdressed(result: str, task_id: str) -> str:
    """The same Task, written by `result_task`, under another id."""
    head = '{"id":"'
    return f"{head}{task_id}{result[len(head) + len(task_id) :]}"


def status_update(task_id: str, context_id: str | None, text: str, wall_ms: int) -> str:
    """The TaskStatusUpdateEvent that says the task is being worked on."""
    context = context_id or task_id
    words = agent_message(text, task_id, context)
    return (
        f'{{"taskId":"{task_id}","contextId":{json.dumps(context)},"status":'
        f'{{"state":"{TaskState.WORKING}","message":{words},"timestamp":"{timestamp(wall_ms)}"}}}}'
    )


def agent_message(text: str, task_id: str, context_id: str) -> str:
    fields = {
        "messageId": f"{task_id}-status",
        "contextId": context_id,
        "taskId": task_id,
        "role": "ROLE_AGENT",
        "parts": [{"text": text}],
    }
    return json.dumps(fields, separators=(",", ":"))


def timestamp(wall_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, as ProtoJSON writes it."""
    seconds, ms = divmod(wall_ms, 1000)
    return f"{_to_the_second(seconds)}.{ms:03d}Z"


@functools.lru_cache(maxsize=4)  # a thousand results share a second
def _to_the_second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
