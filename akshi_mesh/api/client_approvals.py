"""What a command asks of a running node about questions to people."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from http.client import HTTPResponse
from typing import Any, Literal, Protocol, cast

from akshi_mesh.api.shapes_approvals import ApprovalAnswered, ApprovalInfo

PATIENT_S = 24 * 3_600.0  # `watch` waits as long as a person does

Decision = Literal["approve", "deny"]


class Caller(Protocol):
    """A `Client`, as far as it is needed here."""

    def call(self, operation: str, /, *, timeout_s: float = ..., **arguments: object) -> Any: ...

    def lines(
        self, operation: str, /, *, timeout_s: float, **arguments: object
    ) -> AbstractContextManager[HTTPResponse]: ...


class ApprovalCalls:
    """Questions of a running node, and our answers."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def listed(
        self,
        *,
        state: str | None = None,
        agent: str | None = None,
        capability: str | None = None,
    ) -> list[ApprovalInfo]:
        answer = self._caller.call(
            "approvals_list", state=state, agent=agent, capability=capability
        )
        return cast(list[ApprovalInfo], answer)

    def show(self, id: str) -> ApprovalInfo:
        return cast(ApprovalInfo, self._caller.call("approvals_show", id=id))

    def answer(
        self, questions: Sequence[ApprovalInfo], decision: Decision, *, note: str | None = None
    ) -> list[ApprovalAnswered]:
        """Answer exactly what was shown: each answer is bound to the hash of its question."""
        answer = self._caller.call(
            "approvals_answer",
            ids=[f"{question['node']}/{question['id']}" for question in questions],
            hashes=[question["hash"] for question in questions],
            decision=decision,
            note=note,
        )
        return cast(list[ApprovalAnswered], answer)

    def watch(self) -> Iterator[ApprovalInfo]:
        """What waits now, then each question whenever it changes, until the node ends."""
        with self._caller.lines("approvals_watch", timeout_s=PATIENT_S) as lines:
            for line in lines:
                yield cast(ApprovalInfo, json.loads(line))
