"""Questions to people of a node that is not there."""

from collections.abc import AsyncIterator, Sequence

from akshi_mesh.api.errors import NotKnown
from akshi_mesh.api.shapes_approvals import ApprovalAnswered, ApprovalInfo

NODE = "did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b"
ID = "apr-00112233aabbccdd"


def question(**changes: object) -> ApprovalInfo:
    """A question that nobody has answered; what it asks for tries to look like more."""
    info: ApprovalInfo = {
        "id": ID,
        "node": NODE,
        "name": "self",
        "state": "pending",
        "why": "",
        "hash": "ab" * 32,
        "summary": "http-fetch.fetch https://api.example.com/prices",
        "target": "https://api.example.com/prices",
        "tier": "medium",
        "score": 10,
        "fields": ["http_fetch.method.GET: medium 10"],
        "agent": "reader",
        "agent_did": NODE,
        "module_cid": "bafk",
        "capability": "http_fetch",
        "function": "http-fetch.fetch",
        "request": '["http-fetch.fetch","{\\"url\\":\\"https://api.example.com/prices\\"}"]',
        "request_bytes": 64,
        "request_sha256": "cd" * 32,
        "is_cut": False,
        "body_sha256": "",
        "secrets": [],
        "originator": NODE,
        "chain": [],
        "policy_hash": "ef" * 32,
        "price": "",
        "payee": "",
        "task_id": "ab" * 32,
        "number": 3,
        "quorum": 1,
        "votes": [],
        "answer": None,
        "answer_state": "",
        "asked_ms": 1_000,
        "expires_ms": 4_000_000_000_000,
        "changed_ms": 1_000,
    }
    info.update(changes)  # type: ignore[typeddict-item]
    return info


class FakeApprovals:
    """That part of a `Control`."""

    def _note(self, method: str, *arguments: object) -> None:
        raise NotImplementedError

    async def approvals_list(
        self, *, state: str | None, agent: str | None, capability: str | None
    ) -> list[ApprovalInfo]:
        self._note("approvals_list", state, agent, capability)
        return [] if agent == "nobody" else [question(), question(id="apr-ffff000011112222")]

    async def approvals_show(self, id: str) -> ApprovalInfo:
        if not ID.startswith(id):
            raise NotKnown(f"no approval {id!r} here", hint="akshi-node approvals list")
        return question()

    async def approvals_answer(
        self, ids: Sequence[str], *, hashes: Sequence[str], decision: str, note: str | None
    ) -> list[ApprovalAnswered]:
        self._note("approvals_answer", tuple(ids), tuple(hashes), decision, note)
        state = "approved" if decision == "approve" else "denied"
        return [{"id": id, "ok": True, "state": state, "why": ""} for id in ids]

    async def approvals_watch(self) -> AsyncIterator[ApprovalInfo]:
        yield question()
        yield question(state="approved", answer="approve", answer_state="counted")
