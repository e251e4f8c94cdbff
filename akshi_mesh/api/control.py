"""What a person or a program may ask of a running node.

The node implements `Control`; the API server speaks it over HTTP, the command line and
testnet use nothing else. Methods take plain values, answer with the shapes of
`api/shapes.py`, and raise `ControlError` from `api/errors.py`, whose `exit_code` and
`hint` reach the terminal unchanged. Texts arrive unparsed: `Control` parses DIDs, rights
and targets, because it must be right about them whoever asks.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from akshi_mesh.api.shapes import (
    AgentCaps,
    AgentInfo,
    AuditLine,
    CheckReport,
    Done,
    EntryInfo,
    EntryPage,
    JournalInfo,
    NodeStatus,
    PeerAdded,
    PeerInfo,
    SignedCheckpoint,
    TaskEvent,
    TaskInfo,
    TaskReplayed,
    TrustedInfo,
    Why,
)
from akshi_mesh.api.shapes_approvals import ApprovalAnswered, ApprovalInfo
from akshi_mesh.api.shapes_audit import ReconcileReport
from akshi_mesh.api.shapes_grants import GrantInfo
from akshi_mesh.api.shapes_mcp import McpServerInfo, McpToolInfo
from akshi_mesh.api.shapes_secrets import SecretInfo
from akshi_mesh.api.shapes_spend import SpendInfo


class Control(Protocol):
    """One running node, seen by its owner."""

    async def status(self) -> NodeStatus: ...

    async def stop(self) -> Done:
        """Kill every worker before returning; nothing in flight is waited for.

        The node itself ends when the answer is out: `Api` then calls `ended`.
        """
        ...

    async def whoami(self) -> str:
        """The DID of the node."""
        ...

    async def trust_add(
        self,
        did: str,
        *,
        name: str | None,
        address: str | None,
        allow: Sequence[str],
        until_ms: int | None,
        caps: Sequence[str] | None = None,
        spend: str | None = None,
    ) -> TrustedInfo:
        """Trust `did`, or add rights, capabilities, name, address or end to one already trusted."""
        ...

    async def trust_list(self) -> list[TrustedInfo]: ...

    async def trust_show(self, who: str) -> TrustedInfo:
        """`who` is a DID or a petname."""
        ...

    async def trust_remove(self, who: str) -> Done:
        """Close the link and cancel that peer's tasks within a second."""
        ...

    async def trust_revoked(self, revocation: bytes) -> TrustedInfo:
        """Take a self-signed revocation; that DID, which is the answer, is dropped for good."""
        ...

    async def trust_accept_fork(self, who: str) -> Done:
        """Let later epochs of a forked author into the view again."""
        ...

    async def grant_make(
        self,
        did: str,
        *,
        allow: Sequence[str],
        caps: Sequence[str] | None,
        spend: str | None,
        until_ms: int,
        source: str | None,
    ) -> GrantInfo:
        """Give `did` a signed grant, our own or a part of the one that `source` gave us."""
        ...

    async def grant_use(self, chain: bytes) -> GrantInfo:
        """Keep a grant that was given to this node, and show it to its issuer."""
        ...

    async def grant_list(self) -> list[GrantInfo]:
        """What was given, what is held, and what was shown; those that end first first."""
        ...

    async def grant_show(self, grant_id: str) -> GrantInfo:
        """`grant_id` may be its first digits."""
        ...

    async def grant_drop(self, grant_id: str) -> Done:
        """Withdraw what was given or shown, with all that hangs on it; forget what is held."""
        ...

    async def peers(self) -> list[PeerInfo]: ...

    async def add_peer(self, peer: str) -> PeerAdded:
        """Dial ``did:key:…[@host:port]`` from now on. Dials, never trusts: `Denied` if unknown."""
        ...

    async def agents(self) -> list[AgentInfo]: ...

    async def agent_caps(self, name: str) -> AgentCaps: ...

    async def agent_start(self, name: str) -> AgentInfo:
        """Run it again, whatever kept it from running; its failures so far count no more."""
        ...

    async def agent_stop(self, name: str) -> AgentInfo:
        """Kill its workers at once; what ran and what waits is run after `agent_start`."""
        ...

    async def agent_restart(self, name: str) -> AgentInfo:
        """New workers at once; what ran has another attempt."""
        ...

    async def agent_reload(self, name: str, *, cid: str | None) -> AgentInfo:
        """Take the file as it is now, if it is approved; `cid` approves that one and no other.

        What runs finishes in a worker of the module it began with.
        """
        ...

    async def task_send(
        self,
        target: str,
        text: str,
        *,
        message_id: str | None,
        expires_s: float | None,
        scope: Sequence[str] | None = None,
    ) -> TaskInfo:
        """Store the task and start delivering it; answers before any peer did.

        Args:
            target: ``did:key:…/agent``, ``petname/agent`` or ``self/agent``.
            text: the one text part of the message.
            message_id: idempotency key; the same key and text is the same task, the same
                key with another text is `Denied`. None: the node draws one.
            expires_s: how long delivery may take; None: 24 hours.
            scope: the capabilities it may use at most; None: all that this node may.
        """
        ...

    async def task_get(self, task_id: str) -> TaskInfo:
        """`task_id` is the whole id or a prefix of at least 8 hex digits that fits one task."""
        ...

    async def task_wait(self, task_id: str, *, wait_s: float) -> TaskInfo:
        """As `task_get`, once the task is final or `wait_s` has passed, whichever is first."""
        ...

    async def task_list(self, *, state: str | None, limit: int) -> list[TaskInfo]:
        """Newest first. `state` is an A2A state, or None for all."""
        ...

    async def task_cancel(self, task_id: str) -> TaskInfo: ...

    async def task_replay(self, task_id: str) -> TaskReplayed:
        """Run a task that has ended once more, out of what it was told, and compare."""
        ...

    def task_watch(self, task_id: str) -> AsyncIterator[TaskEvent]:
        """Where the task is now, then every step, until the final one."""
        ...

    async def journals(self) -> list[JournalInfo]: ...

    async def journal_append(self, journal: str, *, tag: str, text: str) -> EntryInfo:
        """Write one entry as the node."""
        ...

    async def journal_read(self, journal: str, *, after: str | None, limit: int) -> EntryPage: ...

    async def journal_search(
        self, journal: str, *, query: str, limit: int, mode: str | None
    ) -> list[EntryInfo]:
        """`mode` is keyword, vector or hybrid; None: keyword."""
        ...

    async def journal_verify(self, journal: str | None) -> CheckReport:
        """Recompute every root and check every signature; None: of all journals."""
        ...

    async def why(self, any_id: str) -> Why:
        """`any_id`: of a task, an envelope or a journal entry, or a prefix of 8 hex digits."""
        ...

    async def audit_checkpoint(self) -> SignedCheckpoint:
        """Sign what is in the audit log now; answers when the disk holds it."""
        ...

    async def audit_reconcile(self, who: str) -> ReconcileReport:
        """Compare with `who`, a DID or a petname, what both have signed about their tasks."""
        ...

    async def audit_tail(self, *, limit: int, agent: str | None) -> list[AuditLine]:
        """The newest `limit` records, oldest first."""
        ...

    async def secrets_set(
        self,
        name: str,
        value: str,
        *,
        endpoints: Sequence[str],
        methods: Sequence[str],
        header: str | None,
        format: str | None,
        agent: str | None,
        key: str | None,
    ) -> list[SecretInfo]:
        """Keep a secret for these endpoints. Values are never logged, told or shown.

        Args:
            name: of the secret; one that is there gets this value and these endpoints.
            value: 16 to 4096 printable ASCII characters.
            endpoints: `https://host/path`; none: those the configuration names, or those it had.
            methods: none: every method.
            header: null: Authorization.
            format: null: `Bearer {}`.
            agent: null: every agent.
            key: where the key of a new box is kept; null: the first that is there.
        """
        ...

    async def secrets_rotate(self, name: str, value: str) -> list[SecretInfo]:
        """A new value for the same endpoints; answers are searched for the last one 24 h more."""
        ...

    async def secrets_remove(self, name: str) -> Done: ...

    async def secrets_list(self) -> list[SecretInfo]:
        """Every binding of every secret, and never a value."""
        ...

    async def secrets_revoke(
        self, name: str, *, agent: str | None, endpoint: str | None
    ) -> list[SecretInfo]:
        """From the next call on the agent (null: nobody) gets it there (null: nowhere)."""
        ...

    async def secrets_restore(
        self, name: str, *, agent: str | None, endpoint: str | None
    ) -> list[SecretInfo]:
        """Take back what `secrets_revoke` did for the same; with nulls, all of it."""
        ...

    async def approvals_list(
        self, *, state: str | None, agent: str | None, capability: str | None
    ) -> list[ApprovalInfo]:
        """Questions to people, the next to expire first; `state` is pending (null) or all."""
        ...

    async def approvals_show(self, id: str) -> ApprovalInfo:
        """`id` is ``apr-…``, or a prefix of 4 digits, perhaps after ``NODE/``."""
        ...

    async def approvals_answer(
        self, ids: Sequence[str], *, hashes: Sequence[str], decision: str, note: str | None
    ) -> list[ApprovalAnswered]:
        """Approve or deny as the operator of this node.

        Args:
            ids: as for `approvals_show`.
            hashes: of what was shown, one for each; an answer counts for nothing else.
            decision: approve or deny.
            note: for the agent to read.
        """
        ...

    def approvals_watch(self) -> AsyncIterator[ApprovalInfo]:
        """What waits now, then each question whenever it changes."""
        ...

    async def mcp_list(self) -> list[McpServerInfo]:
        """The MCP servers of all agents. None is started for it."""
        ...

    async def mcp_look(self, agent: str, server: str) -> list[McpToolInfo]:
        """Ask a server for its tools, which starts it; all that were ever seen of it."""
        ...

    async def mcp_show(self, agent: str, server: str, tool: str) -> McpToolInfo:
        """A tool as it was approved and as it was last offered."""
        ...

    async def mcp_approve(self, agent: str, server: str, tool: str, pin: str) -> McpToolInfo:
        """Approve the definition with the hash `pin`, if that is still what is offered."""
        ...

    async def spend_show(self) -> SpendInfo:
        """What agents spend today, what is open, and the kill switch."""
        ...

    async def spend_kill(self) -> SpendInfo:
        """Halt all paid actions at once; on the disk when this answers."""
        ...

    async def spend_resume(self) -> SpendInfo:
        """Let agents spend again. `Denied` while the environment's switch is on."""
        ...

    async def fsck(self) -> CheckReport:
        """Read every store whole and check it. Takes as long as the disk takes."""
        ...
