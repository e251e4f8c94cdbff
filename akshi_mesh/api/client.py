"""Ask a running node: HTTP/1.1 over its unix socket, with nothing but the standard library.

Measured: http.client costs 24 ms to import, httpx 128 ms; a command is not to pay that.
"""

import http.client
import json
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, cast

from akshi_mesh.api import shapes
from akshi_mesh.api.client_agents import AgentCalls
from akshi_mesh.api.client_approvals import ApprovalCalls
from akshi_mesh.api.client_grants import GrantCalls
from akshi_mesh.api.client_mcp import McpCalls
from akshi_mesh.api.client_secrets import SecretCalls
from akshi_mesh.api.client_spend import SpendCalls
from akshi_mesh.api.errors import BY_STATUS, ControlError, Unavailable
from akshi_mesh.api.shapes_audit import ReconcileReport
from akshi_mesh.home import Home

TIMEOUT_S = 10.0  # a node that is alive answers in milliseconds
PATIENT_S = 3_600.0  # for what reads every store


class NoNode(Unavailable):
    """Nothing answers on the socket of this home."""

    hint = "akshi-node run"


class NodeBug(ControlError):
    """The node failed where it must not; what it was stands in its log."""

    exit_code = 1

    def __init__(self, status: int) -> None:
        super().__init__(f"the node has a bug (http {status}), its log holds the traceback")


_CREDENTIALS = struct.Struct("3i")  # process, user, group


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("akshi-node", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
        if sys.platform == "linux":  # elsewhere the directory alone keeps others out
            answer = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            if _CREDENTIALS.unpack(answer)[1] != os.geteuid():
                raise PermissionError(f"{self._path}: another user's process listens there")


class Client:
    """A node that runs on this machine. Every method raises `ControlError` as the node said it."""

    def __init__(self, socket_path: Path, *, token: str) -> None:
        self._path = socket_path
        self._token = token

    @property
    def owned(self) -> AgentCalls:
        return AgentCalls(self)

    @property
    def approvals(self) -> ApprovalCalls:
        return ApprovalCalls(self)

    @property
    def grants(self) -> GrantCalls:
        return GrantCalls(self)

    @property
    def mcp(self) -> McpCalls:
        return McpCalls(self)

    @property
    def secrets(self) -> SecretCalls:
        return SecretCalls(self)

    @property
    def spend(self) -> SpendCalls:
        return SpendCalls(self)

    @classmethod
    def at(cls, home: Home) -> Self:
        """The node of `home`.

        Raises:
            NoNode: the home has no token, so no node ever ran there.
        """
        try:
            token = home.token_path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as failure:
            raise NoNode(f"no node runs at {home.path}") from failure
        return cls(home.socket_path, token=token)

    def call(self, operation: str, /, *, timeout_s: float = TIMEOUT_S, **arguments: object) -> Any:
        """The answer of `operation`, decoded.

        Raises:
            NoNode: nobody listens on the socket, or nobody answers within `timeout_s`.
            ControlError: the node refused.
        """
        with self._answer(operation, timeout_s, arguments) as response:
            return json.loads(response.read())

    def lines(
        self, operation: str, /, *, timeout_s: float, **arguments: object
    ) -> AbstractContextManager[http.client.HTTPResponse]:
        """The answer of an operation that streams: one JSON object a line."""
        return self._answer(operation, timeout_s, arguments)

    @contextmanager
    def _answer(
        self, name: str, timeout_s: float, arguments: dict[str, object]
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _UnixConnection(self._path, timeout_s)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        try:
            connection.request("POST", f"/v1/{name}", json.dumps(arguments), headers)
            response = connection.getresponse()
            if response.status != HTTPStatus.OK:
                raise _refusal(response.status, response.read())
            yield response
        except TimeoutError as failure:
            why = f"the node does not answer within {timeout_s:g} s"
            raise NoNode(why, hint="akshi-node stop") from failure
        except (FileNotFoundError, ConnectionRefusedError) as failure:
            raise NoNode("no node is running here") from failure
        except PermissionError as failure:
            raise NoNode(str(failure).lower()) from failure
        except (OSError, http.client.HTTPException) as failure:
            raise NoNode("the node ended before it answered", hint="akshi-node status") from failure
        finally:
            connection.close()

    def status(self) -> shapes.NodeStatus:
        return cast(shapes.NodeStatus, self.call("status"))

    def stop(self, *, timeout_s: float) -> shapes.Done:
        return cast(shapes.Done, self.call("stop", timeout_s=timeout_s))

    def whoami(self) -> str:
        return cast(str, self.call("whoami"))

    def trust_add(
        self,
        did: str,
        *,
        name: str | None = None,
        address: str | None = None,
        allow: Sequence[str] = (),
        until_ms: int | None = None,
        caps: Sequence[str] = (),
        spend: str | None = None,
    ) -> shapes.TrustedInfo:
        answer = self.call(
            "trust_add",
            did=did,
            name=name,
            address=address,
            allow=list(allow),
            until_ms=until_ms,
            caps=list(caps),
            spend=spend,
        )
        return cast(shapes.TrustedInfo, answer)

    def trust_list(self) -> list[shapes.TrustedInfo]:
        return cast(list[shapes.TrustedInfo], self.call("trust_list"))

    def trust_show(self, who: str) -> shapes.TrustedInfo:
        return cast(shapes.TrustedInfo, self.call("trust_show", who=who))

    def trust_remove(self, who: str) -> shapes.Done:
        return cast(shapes.Done, self.call("trust_remove", who=who))

    def trust_revoked(self, revocation: bytes) -> shapes.TrustedInfo:
        return cast(shapes.TrustedInfo, self.call("trust_revoked", revocation=revocation.hex()))

    def trust_accept_fork(self, who: str) -> shapes.Done:
        return cast(shapes.Done, self.call("trust_accept_fork", who=who))

    def peers(self) -> list[shapes.PeerInfo]:
        return cast(list[shapes.PeerInfo], self.call("peers"))

    def add_peer(self, peer: str) -> shapes.PeerAdded:
        return cast(shapes.PeerAdded, self.call("add_peer", peer=peer))

    def agents(self) -> list[shapes.AgentInfo]:
        return cast(list[shapes.AgentInfo], self.call("agents"))

    def agent_caps(self, name: str) -> shapes.AgentCaps:
        return cast(shapes.AgentCaps, self.call("agent_caps", name=name))

    def task_send(
        self,
        target: str,
        text: str,
        *,
        message_id: str | None = None,
        expires_s: float | None = None,
        scope: Sequence[str] | None = None,
    ) -> shapes.TaskInfo:
        answer = self.call(
            "task_send",
            target=target,
            text=text,
            message_id=message_id,
            expires_s=expires_s,
            scope=scope and list(scope),
        )
        return cast(shapes.TaskInfo, answer)

    def task_get(self, task_id: str) -> shapes.TaskInfo:
        return cast(shapes.TaskInfo, self.call("task_get", task_id=task_id))

    def task_wait(self, task_id: str, *, timeout_s: float) -> shapes.TaskInfo:
        """The task once it is final, or as it is after `timeout_s`."""
        answer = self.call(
            "task_wait", timeout_s=timeout_s + TIMEOUT_S, task_id=task_id, wait_s=timeout_s
        )
        return cast(shapes.TaskInfo, answer)

    def task_list(self, *, state: str | None = None, limit: int) -> list[shapes.TaskInfo]:
        return cast(list[shapes.TaskInfo], self.call("task_list", state=state, limit=limit))

    def task_replay(self, task_id: str) -> shapes.TaskReplayed:
        answer = self.call("task_replay", task_id=task_id, timeout_s=PATIENT_S)
        return cast(shapes.TaskReplayed, answer)

    def task_cancel(self, task_id: str) -> shapes.TaskInfo:
        return cast(shapes.TaskInfo, self.call("task_cancel", task_id=task_id))

    def task_watch(self, task_id: str) -> Iterator[shapes.TaskEvent]:
        """Every step of the task as it happens; ends with the task, or with the node."""
        with self._answer("task_watch", PATIENT_S, {"task_id": task_id}) as lines:
            for line in lines:
                yield cast(shapes.TaskEvent, json.loads(line))

    def journals(self) -> list[shapes.JournalInfo]:
        return cast(list[shapes.JournalInfo], self.call("journals"))

    def journal_append(self, journal: str, *, tag: str, text: str) -> shapes.EntryInfo:
        answer = self.call("journal_append", journal=journal, tag=tag, text=text)
        return cast(shapes.EntryInfo, answer)

    def journal_read(
        self, journal: str, *, after: str | None = None, limit: int
    ) -> shapes.EntryPage:
        answer = self.call("journal_read", journal=journal, after=after, limit=limit)
        return cast(shapes.EntryPage, answer)

    def journal_search(
        self, journal: str, *, query: str, limit: int, mode: str | None = None
    ) -> list[shapes.EntryInfo]:
        answer = self.call("journal_search", journal=journal, query=query, limit=limit, mode=mode)
        return cast(list[shapes.EntryInfo], answer)

    def journal_verify(self, journal: str | None) -> shapes.CheckReport:
        answer = self.call("journal_verify", timeout_s=PATIENT_S, journal=journal)
        return cast(shapes.CheckReport, answer)

    def why(self, any_id: str) -> shapes.Why:
        return cast(shapes.Why, self.call("why", any_id=any_id))

    def audit_checkpoint(self) -> shapes.SignedCheckpoint:
        return cast(shapes.SignedCheckpoint, self.call("audit_checkpoint"))

    def audit_reconcile(self, who: str) -> ReconcileReport:
        found = self.call("audit_reconcile", who=who, timeout_s=PATIENT_S)
        return cast(ReconcileReport, found)

    def audit_tail(self, *, limit: int, agent: str | None = None) -> list[shapes.AuditLine]:
        return cast(list[shapes.AuditLine], self.call("audit_tail", limit=limit, agent=agent))

    def fsck(self) -> shapes.CheckReport:
        return cast(shapes.CheckReport, self.call("fsck", timeout_s=PATIENT_S))


def _refusal(status: int, body: bytes) -> ControlError:
    """The error that the node answered with; a bug there has no words of its own."""
    kind = BY_STATUS.get(status)
    try:
        told = json.loads(body)
        message, hint = str(told["error"]), str(told["hint"])
    except (ValueError, KeyError, TypeError):
        kind = None
    if kind is None:
        return NodeBug(status)
    return kind(message, hint=hint)
