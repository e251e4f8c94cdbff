"""Questions to people, of this node and of others: shown, answered, watched."""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, get_args

import trio

from akshi_mesh.api.errors import BadRequest, NotKnown
from akshi_mesh.api.shapes_approvals import ApprovalAnswered, ApprovalInfo, VoteInfo
from akshi_mesh.approvals.errors import UnknownApproval
from akshi_mesh.approvals.seen import Seen
from akshi_mesh.cli import trust_file
from akshi_mesh.parts import Parts
from identity.did import Did
from sandbox.approval_life import Approval
from sandbox.approvals import HASH_BYTES
from sandbox.errors import SandboxError
from sync.errors import StoreError

PREFIX_CHARS_MIN = 8  # apr- and four digits
CLOSED_MAX = 64  # of those that are over, in a list of all
ANSWERS_MAX = 1_024  # of one request
WAITS, COUNTED = "waits for the link", "counted"
LOOK_S = 5.0  # what only time changes is noticed so soon

State = Literal["pending", "all"]


class ApprovalControl:
    """`Control`, as far as it is about people who say yes or no."""

    _parts: Parts

    @property
    def _views(self) -> "Views":
        return Views(self._parts)

    async def approvals_list(
        self, *, state: str | None, agent: str | None, capability: str | None
    ) -> list[ApprovalInfo]:
        if state not in (None, *get_args(State)):
            raise BadRequest("'state' wants pending or all")
        infos = self._views.infos(closed=state == "all")
        return [
            info
            for info in infos
            if (state == "all" or info["state"] == "pending")
            and agent in (None, info["agent"])
            and capability in (None, info["capability"])
        ]

    async def approvals_show(self, id: str) -> ApprovalInfo:
        peer, whole = self._views.resolve(id)
        if peer is not None:
            seen = self._parts.approvals.seen.find(peer, whole)
            if seen is None:
                raise UnknownApproval(id)
            return self._views.seen(seen)
        row = self._parts.approvals.desk.table.get(whole)
        if row is None:
            raise UnknownApproval(id)
        return self._views.own(row)

    async def approvals_answer(
        self, ids: Sequence[str], *, hashes: Sequence[str], decision: str, note: str | None
    ) -> list[ApprovalAnswered]:
        if decision not in ("approve", "deny"):
            raise BadRequest("'decision' wants approve or deny")
        if len(ids) != len(hashes) or not 0 < len(ids) <= ANSWERS_MAX:
            raise BadRequest(f"want 1 to {ANSWERS_MAX} ids and the hash of each")
        answered: list[ApprovalAnswered] = []
        for id, hash in zip(ids, hashes, strict=True):
            subject = _hash(hash)
            try:
                state = self._views.answer(
                    id, subject, approves=decision == "approve", note=note or ""
                )
            except (SandboxError, StoreError, NotKnown) as refusal:
                if len(ids) == 1:
                    raise
                answered.append({"id": id, "ok": False, "state": "", "why": str(refusal)})
            else:
                answered.append({"id": id, "ok": True, "state": state, "why": ""})
        return answered

    async def approvals_watch(self) -> AsyncIterator[ApprovalInfo]:
        told: dict[tuple[str, str], object] = {}
        while True:
            changed = self._parts.approvals.changed
            now = {(info["node"], info["id"]): info for info in self._views.infos(closed=True)}
            for key, info in now.items():
                mark = (info["state"], info["votes"], info["answer"], info["answer_state"])
                is_news = key in told or info["state"] == "pending"
                if is_news and told.get(key) != mark:
                    yield info
                told[key] = mark
            told = {key: mark for key, mark in told.items() if key in now}
            with trio.move_on_after(LOOK_S):
                await changed.wait()

    def approvals_waiting(self) -> int:
        """How many questions wait for the operator of this node."""
        return sum(
            info["state"] == "pending" and info["answer"] is None
            for info in self._views.infos(closed=False)
        )


class Views:
    """Questions as people are shown them; made for one request."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def answer(self, id: str, subject: bytes, *, approves: bool, note: str) -> str:
        """Vote here, or sign an answer for the node that asks; the state after that."""
        office = self._parts.approvals
        peer, whole = self.resolve(id)
        if peer is None:
            row = office.desk.vote(
                whole, str(self._parts.did), approves=approves, subject=subject, note=note
            )
            return row.standing.value
        office.seen.answer(peer, whole, approves=approves, subject=subject, note=note)
        return "on its way"

    def resolve(self, text: str) -> tuple[bytes | None, str]:
        """Whose question, None for our own, and its whole id.

        Raises:
            NotKnown: nobody, or more than one, is meant.
        """
        who, _, prefix = text.rpartition("/")
        if not prefix.startswith("apr-") or len(prefix) < PREFIX_CHARS_MIN:
            raise BadRequest(f"an approval is apr- and at least 4 digits, not {text[:80]!r}")
        office = self._parts.approvals
        found: list[tuple[bytes | None, str]] = []
        peer = self._peer(who) if who else None
        if not who or peer == self._parts.me:
            found += [(None, id) for id in office.desk.table.called(prefix)]
        if not who or peer != self._parts.me:
            found += [one for one in office.seen.called(prefix) if peer in (None, one[0])]
        if not found:
            raise UnknownApproval(text)
        if len(found) > 1:
            names = ", ".join(f"{self._name(peer)}/{id}" for peer, id in found)
            raise NotKnown(f"{text[:80]!r} may be {names}", hint="akshi-node approvals list")
        return found[0]

    def _peer(self, who: str) -> bytes:
        if who in ("self", str(self._parts.did)):
            return self._parts.me
        return trust_file.find(self._parts.trust.store, who)

    def _name(self, peer: bytes | None) -> str:
        return self._parts.name_of(self._parts.me if peer is None else peer)

    def infos(self, *, closed: bool) -> list[ApprovalInfo]:
        """Ours and those of others, the next to expire first."""
        office = self._parts.approvals
        rows = office.desk.table.open()
        if closed:
            rows += office.desk.table.closed(limit=CLOSED_MAX)
        infos = [*map(self.own, rows), *map(self.seen, office.seen.all())]
        return sorted(infos, key=lambda info: (info["expires_ms"], info["id"]))

    def own(self, row: Approval) -> ApprovalInfo:
        me = str(self._parts.did)
        cast = next((vote for vote in row.votes if vote.operator == me), None)
        info = self._info(row, node=self._parts.me)
        if cast is not None:
            info["answer"], info["answer_state"] = _word(cast.approves), COUNTED
        return info

    def seen(self, seen: Seen) -> ApprovalInfo:
        info = self._info(seen.approval, node=seen.peer)
        if seen.approves is not None:
            info["answer"] = _word(seen.approves)
            info["answer_state"] = seen.refusal or (
                "waits for the link" if seen.waits else "counted"
            )
        return info

    def _info(self, row: Approval, *, node: bytes) -> ApprovalInfo:
        subject, risk = row.subject, row.risk
        row = row.at(self._parts.approvals.desk.now_ms())
        return {
            "id": row.id,
            "node": str(Did(node)),
            "name": self._parts.name_of(node),
            "state": row.standing.value,
            "why": row.why,
            "hash": subject.hash.hex(),
            "summary": row.summary,
            "target": row.target,
            "tier": risk.tier.value,
            "score": risk.score,
            "fields": [f"{part.field}: {part}" for part in risk.fields],
            "agent": subject.agent,
            "agent_did": subject.agent_did,
            "module_cid": subject.module_cid,
            "capability": subject.capability.value,
            "function": subject.function,
            "request": row.shown.decode(errors="replace"),
            "request_bytes": row.request_bytes,
            "request_sha256": subject.request_hash.hex(),
            "is_cut": row.request_bytes > len(row.shown),
            "body_sha256": subject.body_hash.hex(),
            "secrets": list(subject.secret_names),
            "originator": subject.originator,
            "chain": list(subject.chain),
            "policy_hash": subject.policy_hash.hex(),
            "price": subject.price,
            "payee": subject.payee,
            "task_id": row.task_id.hex(),
            "number": row.number,
            "quorum": row.quorum,
            "votes": [self._vote(row, number) for number in range(len(row.votes))],
            "answer": None,
            "answer_state": "",
            "asked_ms": row.asked_ms,
            "expires_ms": row.expires_ms,
            "changed_ms": row.changed_ms,
        }

    def _vote(self, row: Approval, number: int) -> VoteInfo:
        vote = row.votes[number]
        return {
            "operator": vote.operator,
            "name": self._parts.name_of(Did.parse(vote.operator).public_key),
            "decision": _word(vote.approves),
            "note": vote.note,
            "at_ms": vote.at_ms,
        }


def _word(approves: bool) -> Literal["approve", "deny"]:
    return "approve" if approves else "deny"


def _hash(text: str) -> bytes:
    try:
        hash = bytes.fromhex(text)
    except ValueError as failure:
        raise BadRequest("'hashes' wants hex digits") from failure
    if len(hash) != HASH_BYTES:
        raise BadRequest(f"a hash has {HASH_BYTES} bytes")
    return hash
