"""The API answers its owner, in shapes that the document names, and nobody else."""

import json
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from akshi_mesh.api import client as client_module
from akshi_mesh.api.client import Client, NodeBug, NoNode
from akshi_mesh.api.control import Control
from akshi_mesh.api.errors import BadRequest, BadToken, ControlError, Denied, NotKnown
from akshi_mesh.api.openapi import document
from akshi_mesh.api.operations import OPERATIONS
from akshi_mesh.api.server import BODY_BYTES_MAX, Api
from tests.akshi_mesh.api.fakes import DID, TASK_ID, FakeControl

TOKEN = "t" * 43
PLAIN = {"text": "x", "texts": ["x"], "whole": 5, "number": 1, "bytes": "00ff"}


@pytest.fixture
def socket_path() -> Iterator[Path]:
    # Not tmp_path: pytest's names are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="akshi") as directory:
        yield Path(directory) / "api.sock"


def _api(control: Control, ended: Callable[[], None] = lambda: None) -> Api:
    return Api(control, token=TOKEN, version="0.1.0", ended=ended, damaged=lambda _: None)


@asynccontextmanager
async def serving(path: Path, control: Control) -> AsyncIterator[Client]:
    async with trio.open_nursery() as nursery:
        await nursery.start(_api(control).run, path)
        yield Client(path, token=TOKEN)
        nursery.cancel_scope.cancel()


async def ask(question: Any, *arguments: object, **keywords: object) -> Any:
    return await trio.to_thread.run_sync(partial(question, *arguments, **keywords))


async def raw(path: Path, request: bytes) -> bytes:
    """What the server says to these bytes, until it closes or has said a whole answer."""
    stream = await trio.open_unix_socket(str(path))
    async with stream:
        await stream.send_all(request)
        answer = b""
        while chunk := await stream.receive_some():
            answer += chunk
            head, end, body = answer.partition(b"\r\n\r\n")
            if end and b"content-length" in head.lower():
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                if len(body) >= length:
                    break
        return answer


async def test_every_operation_reaches_its_method(socket_path: Path) -> None:
    arguments: dict[str, Any] = {
        "did": DID,
        "who": "bob",
        "revocation": "00ff",
        "target": "bob/reader",
        "text": "hello",
        "task_id": TASK_ID,
        "wait_s": 1,
        "limit": 5,
        "allow": ["a2a:*"],
        "caps": ["filesystem"],
        "spend": None,
        "until_ms": 5,
        "chain": "00ff",
        "grant_id": "abcd",
        "peer": DID,
        "journal": "notes",
        "tag": "t",
        "query": "q",
        "any_id": TASK_ID,
        "name": "reader",
    }
    async with serving(socket_path, FakeControl()) as client:
        for name, operation in OPERATIONS.items():
            if operation.streams or name == "add_peer":
                continue
            wanted = {parameter.name for parameter in operation.parameters}
            given = {key: value for key, value in arguments.items() if key in wanted}
            plain = {p.name: PLAIN[p.kind] for p in operation.parameters if p.name not in given}
            try:
                answer: object = await ask(client.call, name, **given, **plain)
            except NotKnown as refusal:  # it was asked, and has no such thing
                answer = refusal
            assert answer is not None, name


async def test_the_client_has_a_method_for_every_operation() -> None:
    folder = Path(client_module.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("client*.py")]
    assert [name for name in OPERATIONS if not any(f'"{name}"' in text for text in texts)] == []


async def test_arguments_arrive_as_they_were_given(socket_path: Path) -> None:
    control = FakeControl()
    async with serving(socket_path, control) as client:
        await ask(client.trust_add, DID, name="bob", allow=["a2a:*"], until_ms=5)
        await ask(client.trust_revoked, b"\x00\xff")
        await ask(client.task_wait, TASK_ID, timeout_s=2.5)
        sent = await ask(client.task_send, "bob/reader", "grüße")
    assert sent["state"] == "TASK_STATE_SUBMITTED"
    assert control.asked == [
        ("trust_add", (DID, "bob", None, ("a2a:*",), 5, (), None)),
        ("trust_revoked", (b"\x00\xff",)),
        ("task_wait", (TASK_ID, 2.5)),
        ("task_send", ("bob/reader", "grüße", None, None, None)),
    ]


async def test_a_refusal_keeps_its_words_its_hint_and_its_exit_code(socket_path: Path) -> None:
    async with serving(socket_path, FakeControl()) as client:
        with pytest.raises(Denied) as denied:
            await ask(client.add_peer, DID)
        with pytest.raises(NotKnown):
            await ask(lambda: list(client.task_watch("00" * 32)))
    assert str(denied.value) == f"not trusted: {DID}"
    assert denied.value.hint == f"akshi-node trust add {DID}"
    assert denied.value.exit_code == 3


async def test_a_watched_task_is_told_step_by_step(socket_path: Path) -> None:
    async with serving(socket_path, FakeControl()) as client:
        events = await ask(lambda: list(client.task_watch(TASK_ID)))
    assert [(event["state"], event["final"]) for event in events] == [
        ("TASK_STATE_WORKING", False),
        ("TASK_STATE_COMPLETED", True),
    ]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Authorization: Bearer \r\n",
        b"Authorization: Bearer " + TOKEN[:-1].encode() + b"\r\n",
        b"Authorization: Bearer " + TOKEN.encode() + b"x\r\n",
        b"Authorization: Basic " + TOKEN.encode() + b"\r\n",
        b"Authorization: " + TOKEN.encode() + b"\r\n",
        b"Authorization: Bearer t\xc3\xa9\r\n",
    ],
)
@pytest.mark.parametrize("line", [b"POST /v1/stop", b"GET /openapi.json", b"GET /nowhere"])
async def test_without_the_token_nothing_is_done_and_nothing_told(
    socket_path: Path, header: bytes, line: bytes
) -> None:
    """Also of paths that do not exist, so that a stranger learns nothing from them."""
    control = FakeControl()
    async with serving(socket_path, control):
        request = line + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" + header + b"\r\n"
        answer = await raw(socket_path, request)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert not control.stopped.is_set()
    assert DID.encode() not in answer


async def test_a_wrong_token_is_exit_code_3(socket_path: Path) -> None:
    async with serving(socket_path, FakeControl()):
        with pytest.raises(BadToken) as refused:
            await ask(Client(socket_path, token="wrong").whoami)
    assert refused.value.exit_code == 3


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        ("task_get", {}, "task_get needs 'task_id'"),
        ("task_get", {"task_id": 1}, "'task_id' wants text"),
        ("task_get", {"task_id": "a", "x": 1}, "task_get takes no 'x'"),
        ("task_get", {"task_id": "\ud800"}, "'task_id' wants text"),
        ("trust_add", {"did": "d", "allow": ["\ud800"]}, "'allow' wants a list of texts"),
        ("task_list", {"limit": True}, "'limit' wants a whole number"),
        ("task_list", {"limit": 2**53}, "'limit' wants a whole number"),
        ("task_list", {"limit": 1.0}, "'limit' wants a whole number"),
        ("task_wait", {"task_id": "a", "wait_s": "1"}, "'wait_s' wants a finite number"),
        ("task_wait", {"task_id": "a", "wait_s": 1e300}, "'wait_s' wants a finite number"),
        ("trust_revoked", {"revocation": "xx"}, "'revocation' wants bytes in hex"),
        ("trust_add", {"did": "d", "allow": "a2a:*"}, "'allow' wants a list of texts"),
        ("trust_add", {"did": "d", "allow": [], "name": 1}, "'name' wants text or null"),
    ],
)
async def test_nonsense_never_reaches_the_node(
    socket_path: Path, operation: str, arguments: dict[str, object], message: str
) -> None:
    control = FakeControl()
    async with serving(socket_path, control) as client:
        with pytest.raises(BadRequest) as refused:
            await ask(client.call, operation, **arguments)
    assert str(refused.value) == message
    assert control.asked == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[]", "want a json object"),
        (b"{", "not json"),
        (b"\xff", "not json"),
        (b"[" * 100_000, "not json"),
        (b" " * (BODY_BYTES_MAX + 1), f"more than {BODY_BYTES_MAX} bytes"),
    ],
)
async def test_a_body_that_is_no_object_is_refused(
    socket_path: Path, body: bytes, message: str
) -> None:
    async with serving(socket_path, FakeControl()):
        head = f"POST /v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        answer = await raw(socket_path, head.encode() + body)
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert told == {"error": message, "hint": "", "exit": 2}


async def test_the_document_describes_exactly_the_routes_that_exist() -> None:
    app = _api(FakeControl()).app()
    served = {getattr(route, "path", "") for route in app.routes} - {"/{path:path}"}
    described = document(version="0.1.0")
    assert set(described["paths"]) == served
    text = json.dumps(described)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert described["components"]["schemas"][name]


async def test_answers_have_the_shape_that_the_document_names(socket_path: Path) -> None:
    schemas = document(version="0.1.0")["components"]["schemas"]
    async with serving(socket_path, FakeControl()) as client:
        status = await ask(client.status)
    assert sorted(status) == sorted(schemas["NodeStatus"]["properties"])


async def test_only_the_owner_can_open_the_socket(socket_path: Path) -> None:
    async with serving(socket_path, FakeControl()):
        mode = socket_path.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


async def test_a_stale_socket_is_replaced(socket_path: Path) -> None:
    async with serving(socket_path, FakeControl()):
        pass
    async with serving(socket_path, FakeControl()) as client:
        assert await ask(client.whoami) == DID


async def test_nobody_there_is_said_as_such(socket_path: Path) -> None:
    with pytest.raises(NoNode) as absent:
        await ask(Client(socket_path, token=TOKEN).whoami)
    assert (absent.value.exit_code, absent.value.hint) == (4, "akshi-node run")


async def test_a_hanging_node_is_not_waited_for_for_ever(socket_path: Path) -> None:
    class Hanging(FakeControl):
        async def whoami(self) -> str:
            await trio.sleep_forever()
            raise AssertionError

    async with serving(socket_path, Hanging()) as client:
        with pytest.raises(NoNode, match="does not answer within"):
            await ask(client.call, "whoami", timeout_s=0.05)


async def test_a_bug_of_the_node_is_exit_code_1_and_the_node_lives(socket_path: Path) -> None:
    class Buggy(FakeControl):
        async def peers(self) -> Any:
            raise AssertionError("a secret of ours")

    async with serving(socket_path, Buggy()) as client:
        with pytest.raises(NodeBug) as bug:
            await ask(client.peers)
        assert await ask(client.whoami) == DID
    assert isinstance(bug.value, ControlError)
    assert bug.value.exit_code == 1
    assert "secret" not in str(bug.value)


async def test_stop_is_answered_before_the_node_ends(socket_path: Path) -> None:
    control = FakeControl()
    async with trio.open_nursery() as nursery:
        await nursery.start(_api(control, nursery.cancel_scope.cancel).run, socket_path)
        client = Client(socket_path, token=TOKEN)
        told: list[object] = []

        async def ask_to_stop() -> None:
            with trio.CancelScope(shield=True):
                told.append(await ask(client.stop, timeout_s=5))

        nursery.start_soon(ask_to_stop)
    assert told == [{"note": "stopped 2 agents"}]
    assert control.stopped.is_set()
