"""Tasks of a running node: send, look, wait, watch, cancel."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import trio

from akshi_mesh.api.errors import BadRequest, Denied, NotKnown
from akshi_mesh.api.shapes import TaskEvent, TaskInfo, TaskReplayed
from akshi_mesh.control.refusals import quoted, remedy_there
from akshi_mesh.parts import Parts
from akshi_mesh.scopes import read_scope
from identity.cid import wasm_cid
from identity.did import Did
from sandbox.agent_address import AgentAddress
from sandbox.approval_life import Standing
from sandbox.errors import MalformedAgentAddress
from sandbox.host.agent_status import Condition
from sync.proto.task_messages import text_parts, words_of
from sync.proto.task_states import Counted
from sync.proto.task_views import Role, TaskView
from sync.proto.tasks_sending import Order
from sync.store.tasks_find import find_tasks

PREFIX_DIGITS_MIN = 8
ID_DIGITS = 64
LIST_ROWS_MAX = 1_000


class TaskControl:
    """`Control`, as far as it is about tasks."""

    _parts: Parts

    async def task_send(
        self,
        target: str,
        text: str,
        *,
        message_id: str | None,
        expires_s: float | None,
        scope: Sequence[str] | None = None,
    ) -> TaskInfo:
        parts = self._parts
        bounds = None if scope is None else read_scope(scope, None, parts.trust.store)
        peer, agent = self._target(target)
        now = parts.clock()
        order = Order(
            peer=peer,
            agent=agent,
            parts=text_parts(text),
            message_id=message_id,
            expires_ms=None if expires_s is None else now.wall_ms + int(expires_s * 1000),
            scope=bounds and bounds.as_said_by(str(parts.did)),
        )
        with parts.mesh.transaction():
            task_id, effects = parts.mesh.tasks.submit(order, now)
            parts.mesh.say(effects)
        return self._info(parts.mesh.tasks.views.get(task_id, "sent"))

    async def task_get(self, task_id: str) -> TaskInfo:
        return self._info(self._view(task_id))

    async def task_wait(self, task_id: str, *, wait_s: float) -> TaskInfo:
        view = self._view(task_id)
        with trio.move_on_after(wait_s):
            while not view.is_ended:
                await self._parts.switchboard.wait_changed([view.id])
                view = self._parts.mesh.tasks.views.get(view.id)
        return self._info(view)

    async def task_list(self, *, state: str | None, limit: int) -> list[TaskInfo]:
        views = self._parts.mesh.tasks.views
        roles: tuple[Role, ...] = ("sent", "received")
        # A task to ourselves is both; it is shown once, as its sender sees it.
        found = {
            view.id: view
            for role in reversed(roles)
            for view in views.list(role, limit=LIST_ROWS_MAX)
        }
        newest = sorted(found.values(), key=lambda view: view.created_ms, reverse=True)
        wanted = [view for view in newest if state is None or view.state == state]
        return [self._info(view) for view in wanted[: max(0, limit)]]

    async def task_cancel(self, task_id: str) -> TaskInfo:
        parts = self._parts
        view = self._view(task_id)
        with parts.mesh.transaction():
            parts.mesh.say(parts.mesh.tasks.cancel(view.id, parts.clock()))
        return self._info(parts.mesh.tasks.views.get(view.id))

    async def task_replay(self, task_id: str) -> TaskReplayed:
        parts, view = self._parts, self._view(task_id)
        trace = parts.traces.find(view.id)
        if trace is None:
            why = "it has not ended" if not view.is_ended else "its trace is not kept, or elsewhere"
            raise NotKnown(f"task {view.id.hex()[:8]} cannot be replayed: {why}")
        replayed = await parts.supervisor.agent(trace.agent).replay(trace)
        digest = parts.supervisor.agent(trace.agent).status.wasm_sha256
        return {
            "id": view.id.hex(),
            "agent": trace.agent,
            "same": not replayed.differs,
            "differs": replayed.differs,
            "calls": replayed.calls,
            "calls_then": len(trace.calls),
            "module": wasm_cid(digest) if digest else "",
            "module_then": trace.module_cid,
        }

    async def task_watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        view = self._view(task_id)
        told: tuple[str, str] | None = None
        while True:
            text = _words(view.progress) if not view.is_ended else ""
            if view.is_ended or (view.state.value, text) != told:
                told = (view.state.value, text)
                yield {
                    "id": view.id.hex(),
                    "state": view.state.value,
                    "text": text,
                    "final": view.is_ended,
                    "at_ms": self._parts.clock().wall_ms,
                    "task": self._info(view) if view.is_ended else None,
                }
            if view.is_ended:
                return
            await self._parts.switchboard.wait_changed([view.id])
            view = self._parts.mesh.tasks.views.get(view.id)

    def _target(self, text: str) -> tuple[bytes, str]:
        """The key and the agent that `text` names.

        Raises:
            BadRequest: not an address, or nobody has that name.
            Denied: a DID we do not trust: the task could never be delivered.
        """
        parts = self._parts
        try:
            address = AgentAddress.parse(text)
        except MalformedAgentAddress as malformed:
            raise BadRequest(str(malformed)) from malformed
        did = address.did(me=str(parts.did), resolve=self.resolve)
        if did is None:
            raise BadRequest(
                f"nobody here is called {address.node!r}", hint="akshi-node trust list"
            )
        key = Did.parse(did).public_key
        if key != parts.me and parts.trust.lookup(key) is None:
            raise Denied(f"not trusted: {did}", hint=f"akshi-node trust add {did}")
        return key, address.agent

    def resolve(self, petname: str) -> str | None:
        trusted = self._parts.trust.store.by_petname(petname)
        return str(trusted.did) if trusted else None

    def _view(self, text: str) -> TaskView:
        return self._parts.mesh.tasks.views.get(self.task_id(text))

    def task_id(self, text: str) -> bytes:
        """The one id that begins as `text`.

        Raises:
            BadRequest: not hex, too short, or several tasks begin so.
            NotKnown: none does.
        """
        if not PREFIX_DIGITS_MIN <= len(text) <= ID_DIGITS:
            raise BadRequest(f"an id has {PREFIX_DIGITS_MIN} to {ID_DIGITS} hex digits")
        try:
            found = find_tasks(self._parts.database, text)
        except ValueError as malformed:
            raise BadRequest(f"not an id: {text!r}") from malformed
        if not found:
            raise NotKnown(f"no task {text} is known here", hint="akshi-node task list")
        if len(found) > 1:
            raise BadRequest(f"several tasks begin with {text}: give more digits")
        return found[0]

    def _info(self, view: TaskView) -> TaskInfo:
        parts = self._parts
        result: dict[str, Any] | None = json.loads(view.result) if view.result else None
        waits, remedy = self.waits_here(view)
        return {
            "id": view.id.hex(),
            "direction": "local" if view.peer == parts.me else view.role,
            "peer": str(Did(view.peer)),
            "agent": view.agent,
            "message_id": view.message_id or "",
            "delivery": self._delivery(view),
            "state": view.state.value,
            "final": view.is_ended,
            "why": self.why_of(view) or waits,
            "hint": remedy or self._hint(view),
            "text": artifact_text(result),
            "created_ms": view.created_ms,
            "updated_ms": view.ended_ms or view.created_ms,
            "expires_ms": view.expires_ms,
            "result": result,
        }

    def _delivery(self, view: TaskView) -> str:
        if view.role == "received":
            return "accepted"
        sent = self._parts.tables.sent.get(view.id)
        return (sent.counted if sent else Counted.QUEUED).name.lower()

    def why_of(self, view: TaskView) -> str:
        """Why it did not go well; a peer's words as its words."""
        if view.is_by_peer and view.peer != self._parts.me and view.reason:
            return quoted(self._parts.name_of(view.peer), view.reason)
        return view.reason

    def waits_here(self, view: TaskView) -> tuple[str, str]:
        """What keeps a task of an agent of ours, and what its owner types; empty: nothing."""
        parts = self._parts
        if view.is_ended or (view.role == "sent" and view.peer != parts.me):
            return "", ""
        for asked in parts.approvals.desk.table.open_of_task(view.id):
            if asked.standing is Standing.PENDING:
                return f"it waits for a person: {asked.id}", f"akshi-node approvals show {asked.id}"
        agent = next((one for one in parts.supervisor.status() if one.name == view.agent), None)
        if agent is not None and agent.condition is Condition.STOPPED:
            return f"agent {agent.name} is stopped: {agent.why}", "akshi-node agents list"
        return "", ""

    def _hint(self, view: TaskView) -> str:
        """What its owner can do about a task that waits or was refused."""
        if view.is_ended or view.role == "received":
            return remedy_there(view, me=self._parts.did)
        if self._parts.trust.is_out(view.peer) and view.peer != self._parts.me:
            return f"akshi-node trust add {Did(view.peer)}"
        link = next((link for link in self._parts.links.links() if link.peer == view.peer), None)
        if link is None or link.state == "up":
            return ""
        return link.hint or ""


def artifact_text(task: dict[str, Any] | None) -> str:
    """The text parts of a task's artifacts, joined, for people."""
    if task is None:
        return ""
    parts = [part for artifact in task.get("artifacts", []) for part in artifact["parts"]]
    return "\n".join(part["text"] for part in parts if "text" in part)


def _words(update: str | None) -> str:
    return words_of(update) if update else ""
