"""The answers of a node, as shapes: what JSON holds, and what OpenAPI says it holds.

Every id is lower-case hex, every DID and every time is spelled in full: `…_ms` are
milliseconds since 1970 UTC, `…_s` are seconds.
"""

from typing import Any, Literal, TypedDict


class TaskCounts(TypedDict):
    """`sent` = acknowledged + queued + expired + refused, at every moment."""

    sent: int
    acknowledged: int
    queued: int
    expired: int
    refused: int


class PeerInfo(TypedDict):
    """One peer we trust or hold a link to."""

    did: str
    name: str | None
    address: str | None
    state: Literal["linked", "dialling", "down", "idle"]
    why: str
    since_ms: int | None
    dialled_by_us: bool
    bytes_in: int
    bytes_out: int
    tasks: TaskCounts


class AgentInfo(TypedDict):
    """One agent of this node; `why` says what keeps a stopped one from running."""

    name: str
    did: str
    state: str
    why: str
    wasm_cid: str
    capabilities: list[str]
    restarts: int
    tasks_waiting: int
    tasks_running: int
    tasks_completed: int
    tasks_failed: int
    memory_bytes: int
    memory_bytes_max: int
    fuel_used: int
    fuel_used_last: int
    fuel_max: int
    run_seconds: float
    wall_clock_s_max: float
    calls: dict[str, int]
    calls_refused: dict[str, int]


class AgentCaps(TypedDict):
    """What one agent may do: capability name to the list of what it covers.

    `approval` says when a person is asked, `rates` how often it may be used at most, `budget`
    what may be spent (empty: nothing).
    """

    name: str
    did: str
    capabilities: dict[str, list[str]]
    denied: list[str]
    approval: dict[str, str]
    rates: dict[str, str]
    budget: str


class JournalInfo(TypedDict):
    """One journal: how much of it is here."""

    name: str
    scope: Literal["local", "mesh"]
    entries: int
    logs: int
    frozen: int


class SandboxInfo(TypedDict):
    """How well agents are locked in: the level here, and the least we accept."""

    level: str
    minimum: str
    why: str


class NodeStatus(TypedDict):
    """The whole node at a glance."""

    did: str
    version: str
    pid: int
    home: str
    network: str
    listen: str | None
    durability: Literal["normal", "power"]
    started_ms: int
    start_to_ready_s: float
    sandbox: SandboxInfo
    peers: list[PeerInfo]
    agents: list[AgentInfo]
    journals: list[JournalInfo]
    tasks: TaskCounts
    refusals: dict[str, int]
    approvals_waiting: int
    warnings: list[str]


class TrustedInfo(TypedDict):
    """One line of the trust store."""

    did: str
    name: str | None
    address: str | None
    allow: list[str]
    caps: list[str]
    spend: str | None
    until_ms: int | None
    state: Literal["trusted", "expired", "revoked"]


class TaskInfo(TypedDict):
    """One task, sent or received. `state` is A2A 1.0's, e.g. ``TASK_STATE_COMPLETED``.

    `delivery` is ours: queued, acknowledged, expired, refused (sent tasks) or accepted
    (received ones). `why` says what refused, failed or expired it; a peer's own
    words are quoted after its name. `result` is the A2A Task once there is one; `text` its text
    parts joined, for people.
    """

    id: str
    direction: Literal["sent", "received", "local"]
    peer: str
    agent: str
    message_id: str
    delivery: str
    state: str
    final: bool
    why: str
    hint: str
    text: str
    created_ms: int
    updated_ms: int
    expires_ms: int
    result: dict[str, Any] | None


class TaskReplayed(TypedDict):
    """A task that was run once more; `differs` says where it went another way."""

    id: str
    agent: str
    same: bool
    differs: str
    calls: int
    calls_then: int
    module: str
    module_then: str


class TaskEvent(TypedDict):
    """One step of a watched task; the last one has `final` true and carries the task."""

    id: str
    state: str
    text: str
    final: bool
    at_ms: int
    task: TaskInfo | None


class EntryInfo(TypedDict):
    """One journal entry in the merged view.

    `author` is the key that signed it and `writer` how people call that: a petname or a DID, with
    ``/agent`` if that node vouches for the key. `originator` is the author's word, and
    `originator_name` how people call that.
    """

    id: str
    journal: str
    author: str
    writer: str
    epoch: str
    seq: int
    at_ms: int
    tag: str
    text: str
    originator: str
    originator_name: str
    task_id: str | None
    score: float | None


class EntryPage(TypedDict):
    """Entries in order, and where to go on (`after`), or null at the end."""

    entries: list[EntryInfo]
    after: str | None


class Finding(TypedDict):
    """One thing a check found; `remedy` is a command or empty."""

    what: str
    ok: bool
    why: str
    remedy: str


class CheckReport(TypedDict):
    """The answer of fsck and journal verify: `ok` only if every finding is."""

    ok: bool
    findings: list[Finding]


class Why(TypedDict):
    """Where a task or envelope is, or which rule refused it and what would allow it."""

    id: str
    kind: str
    story: list[str]
    hint: str


class AuditLine(TypedDict):
    """One record of the audit log; `count` equal ones happened from `at_ms` to `until_ms`.

    docs/spec/audit.md lists the events and their facts; `number` is that of the host call,
    or -1; `code` is the fault the agent got, or how something changed, or empty.
    """

    seq: int
    at_ms: int
    until_ms: int
    event: str
    agent: str
    originator: str
    task_id: str
    number: int
    function: str
    code: str
    detail: str
    request_hash: str
    count: int
    facts: dict[str, str]


class SignedCheckpoint(TypedDict):
    """A C2SP signed note over the first `size` audit records; the disk holds them."""

    size: int
    note: str


class PeerAdded(TypedDict):
    """The peer that will be dialled from now on, until the node stops."""

    did: str
    address: str | None


class Done(TypedDict):
    """It is done; `note` says what that means, where that is not plain."""

    note: str
