"""What a node tells about the questions that wait for a person, its own and those of others."""

from typing import Literal, TypedDict


class VoteInfo(TypedDict):
    """What one operator said."""

    operator: str
    name: str
    decision: Literal["approve", "deny"]
    note: str
    at_ms: int


class ApprovalInfo(TypedDict):
    """One question. `hash` is what an answer binds to; everything from `agent` to `payee` is in it.

    `node` is the DID of the node that asks and `name` how people call it. `request` is the start
    of the canonical request and `is_cut` whether there is more; `request_sha256` is of all of it.
    `answer` is what this node has said: null, ``approve`` or ``deny``, and `answer_state` where
    that is: empty, ``waits for the link``, ``counted``, or why it did not count.
    """

    id: str
    node: str
    name: str
    state: Literal["pending", "approved", "used", "denied", "expired", "withdrawn"]
    why: str
    hash: str
    summary: str
    target: str
    tier: str
    score: int
    fields: list[str]
    agent: str
    agent_did: str
    module_cid: str
    capability: str
    function: str
    request: str
    request_bytes: int
    request_sha256: str
    is_cut: bool
    body_sha256: str
    secrets: list[str]
    originator: str
    chain: list[str]
    policy_hash: str
    price: str
    payee: str
    task_id: str
    number: int
    quorum: int
    votes: list[VoteInfo]
    answer: Literal["approve", "deny"] | None
    answer_state: str
    asked_ms: int
    expires_ms: int
    changed_ms: int


class ApprovalAnswered(TypedDict):
    """What became of one answer: `ok`, or `why` it did not count."""

    id: str
    ok: bool
    state: str
    why: str
