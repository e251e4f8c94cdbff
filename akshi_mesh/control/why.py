"""Why something is as it is: the facts of the engines, in sentences, and the command that helps."""

from collections.abc import Mapping

from akshi_mesh.api.errors import NotKnown
from akshi_mesh.api.shapes import Why
from akshi_mesh.cli import output
from akshi_mesh.control.refusals import quoted, remedy_here
from akshi_mesh.control.tasks import ID_DIGITS, TaskControl
from akshi_mesh.inert import inert
from identity.did import Did
from identity.envelope import Kind
from sync.errors import UnknownTask
from sync.proto.task_states import CLOCK_AHEAD
from sync.proto.task_views import Fact, TaskView
from sync.store.tasks_find import find_offered

Facts = Mapping[str, Fact]
_COUNTED = {
    "queued": "it is stored here and was not acknowledged yet",
    "acknowledged": "the peer has acknowledged it",
    "expired": "it expired, or was withdrawn, before the peer acknowledged it",
    "refused": "the peer refused it",
}


class WhyControl(TaskControl):
    """`Control.why`."""

    async def why(self, any_id: str) -> Why:
        return self._entry(any_id) or self._other_envelope(any_id) or self._task(any_id)

    def _task(self, any_id: str) -> Why:
        parts = self._parts
        try:
            task_id = self.task_id(any_id)
            facts = parts.mesh.tasks.views.why(task_id, parts.clock())
        except UnknownTask as unknown:
            raise NotKnown(str(unknown), hint="akshi-node task list") from unknown
        view = parts.mesh.tasks.views.get(task_id)
        peer = parts.name_of(view.peer)
        tell = _sent if view.role == "sent" else _received
        # Others' words are in the reason; whatever they are, a line of the story stays one line.
        told = tell({**facts, "reason": self.why_of(view)}, peer)
        told += [self._on_the_way(view), self.waits_here(view)[0]]
        story = [inert(line) for line in told if line]
        hint = self._info(view)["hint"] or remedy_here(view)
        if str(facts.get("held_back", "")).startswith(CLOCK_AHEAD):
            hint = "compare the clocks of both machines: date"
        return {"id": task_id.hex(), "kind": "task", "story": story, "hint": hint}

    def _on_the_way(self, view: TaskView) -> str:
        """What keeps a task of ours from its peer, as far as this node can see."""
        parts = self._parts
        if view.is_ended or view.role == "received" or view.peer == parts.me:
            return ""
        if parts.trust.is_out(view.peer):
            return "its peer is not trusted here now, so nobody dials it"
        links = (link for link in parts.links.links() if link.peer == view.peer)
        link = next(links, None)
        return f"the last dial: {link.last_failure}" if link and link.last_failure else ""

    def _other_envelope(self, any_id: str) -> Why | None:
        """A result or a cancel that is still offered to a peer."""
        if len(any_id) != ID_DIGITS or not set(any_id) <= set("0123456789abcdef"):
            return None
        found = find_offered(self._parts.database, bytes.fromhex(any_id))
        if found is None or found[0] == Kind.TASK.value:
            return None
        kind, task_id, peer = found
        story = [
            f"the {kind} of task {task_id.hex()}",
            f"it is offered to {self._parts.name_of(peer)} until it is acknowledged",
        ]
        return {"id": any_id, "kind": "envelope", "story": story, "hint": ""}

    def _entry(self, any_id: str) -> Why | None:
        parts = self._parts
        places = parts.view.why(any_id, now_ms=parts.clock().wall_ms)
        if not places:
            return None
        story: list[str] = []
        for place in places:
            author = parts.name_of(bytes.fromhex(str(place["author"])))
            story.append(f"entry {place['seq']} of a log of {author} in journal {place['journal']}")
            story.append(f"epoch {place['epoch']}")
            if place["originator"]:
                story.append(inert(f"for {place['originator']}, says its author"))
            if place["task"]:
                story.append(f"by task {place['task']}")
            story.append(_visibility(place))
        hint = ""
        if any(place["frozen_at"] is not None and not place["shown"] for place in places):
            hint = f"akshi-node trust accept-fork {Did(bytes.fromhex(str(places[0]['author'])))}"
        return {"id": any_id, "kind": "entry", "story": story, "hint": hint}


def _sent(facts: Facts, peer: str) -> list[str]:
    """The sender's side of a task."""
    waits = facts["counted"] in ("queued", "acknowledged") and not facts["answered_by_peer"]
    made = facts.get("made_by_task")
    return [
        f"asked of agent {facts['agent']} at {peer}",
        f"by call {facts['made_by_call']} of task {made}" if made else "",
        _COUNTED[str(facts["counted"])],
        _state(facts),
        "its cancellation was asked for" if facts["cancel_asked"] else "",
        f"the link to {peer} is {facts['link']}" if waits else "",
        quoted(peer, str(facts["held_back"])) if facts["held_back"] else "",
        f"{facts['attempts']} times offered without an answer" if facts["attempts"] else "",
        _expiry(facts) if waits else "",
    ]


def _received(facts: Facts, peer: str) -> list[str]:
    """The receiver's side of a task."""
    ended = facts["state"] not in ("TASK_STATE_SUBMITTED", "TASK_STATE_WORKING")
    delivered = (
        "the sender has its result" if facts["result_delivered"] else "its result is offered"
    )
    waiting = f"agent {facts['agent']} takes no tasks now" if not facts["agent_ready"] else ""
    turned = facts.get("turned_away")
    return [
        f"asked by {peer} of agent {facts['agent']}",
        f"turned away: {turned}" if turned else "",
        _state(facts),
        "its cancellation was asked for" if facts["cancel_asked"] else "",
        delivered if ended and not turned else "",
        "" if ended else waiting,
        "" if ended or facts["running"] else f"{facts['waiting_for_agent']} tasks wait for it",
        "" if ended else _expiry(facts),
    ]


def _state(facts: Facts) -> str:
    words = str(facts["state"]).removeprefix("TASK_STATE_").lower().replace("_", " ")
    return f"{words}: {facts['reason']}" if facts["reason"] else words


def _expiry(facts: Facts) -> str:
    left_s = int(str(facts["expires_in_s"]))
    return f"it expires in {output.lasted(left_s)}" if left_s > 0 else "its time is over"


def _visibility(place: Mapping[str, object]) -> str:
    if place["shown"]:
        return "it is in the view"
    if place["frozen_at"] is not None:
        return f"out of the view: its author forked this log at entry {place['frozen_at']}"
    if not place["covered"]:
        return "out of the view: no signature covers it yet"
    return "out of the view: its time is ahead of ours, or an earlier log of its author is forked"
