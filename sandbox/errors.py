"""Everything `sandbox` raises on purpose.

Choose by who must act, not by where it happened:

    PortRefused, ActFailed   the act did not happen    -> tell the guest, carry on
    AgentFault and below     the guest or its worker   -> end the attempt, keep the node
    AuditUnavailable         the record was not kept   -> no act; the operator frees disk
    AgentUnavailable         no worker may be started  -> the task fails or waits
    ZygoteLost, CompileFailed, ...  the world let us down -> retry or report
    Malformed...             the caller passed nonsense -> fix the caller

A bug in our own code is an `AssertionError`; nobody catches it.
"""

from sandbox.fault import Fault, FaultCode


class SandboxError(Exception):
    """Root of the package; catch it only at the edge of the node."""

    hint: str | None = None


class MalformedAgentSpec(SandboxError, ValueError):
    """A value of an agent's configuration cannot be used."""

    def __init__(self, agent: str, *, key: str, why: str) -> None:
        super().__init__(f"agent {agent!r}: {key}: {why}")
        self.agent = agent
        self.key = key
        self.why = why


class MalformedRiskTable(SandboxError, ValueError):
    """A line of the risk table that means nothing."""

    def __init__(self, key: str, *, why: str) -> None:
        super().__init__(f"risk of {key[:96]!r}: {why}")
        self.key = key
        self.why = why


class MalformedRate(SandboxError, ValueError):
    """Not a rate such as `60/min`."""

    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(f"rate {text[:40]!r}: {why}")
        self.text = text
        self.why = why


class MalformedComponent(SandboxError, ValueError):
    """Bytes that are no component a node would read."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class MalformedMcpServer(SandboxError, ValueError):
    """A value of an MCP server's configuration cannot be used."""

    def __init__(self, server: str, *, key: str, why: str) -> None:
        super().__init__(f"mcp server {server[:80]!r}: {key}: {why}")
        self.server = server
        self.key = key
        self.why = why


class MalformedAgentAddress(SandboxError, ValueError):
    """Not `did:key:…/agent`, `petname/agent` or `self/agent`."""

    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(f"agent address {text[:200]!r}: {why}")
        self.text = text
        self.why = why


class MalformedRequest(SandboxError, ValueError):
    """The arguments of a host call do not have the form of its function."""

    def __init__(self, function: str, *, why: str) -> None:
        super().__init__(f"{function[:80]}: {why}")
        self.function = function
        self.why = why


class MalformedUrl(SandboxError, ValueError):
    """Not an http or https URL that has only one reading."""

    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(f"url {text[:200]!r}: {why}")
        self.text = text
        self.why = why


class MalformedEndpoint(SandboxError, ValueError):
    """Not a line of `[agents.endpoints] allowed`."""

    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(f"endpoint {text[:200]!r}: {why}")
        self.text = text
        self.why = why


class MalformedAnswer(SandboxError, ValueError):
    """A server's answer that cannot be told to a guest."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the answer is {why}")
        self.why = why


class MalformedPath(SandboxError, ValueError):
    """A guest's path that names nothing below an allowed root."""

    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(f"path {text[:200]!r}: {why}")
        self.text = text
        self.why = why


class MalformedSecret(SandboxError, ValueError):
    """A secret, or what it is bound to, that cannot be used. Never holds the value."""

    def __init__(self, name: str, *, why: str) -> None:
        super().__init__(f"secret {name!r}: {why}")
        self.name = name
        self.why = why


class MalformedJson(SandboxError, ValueError):
    """Text of a guest that is not the strict JSON we asked for."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class MalformedMoney(SandboxError, ValueError):
    """Not an amount of one currency in micro-units."""

    def __init__(self, text: str, *, why: str) -> None:
        super().__init__(f"money {text[:80]!r}: {why}")
        self.text = text
        self.why = why


class MalformedSpendPolicy(SandboxError, ValueError):
    """A value of a budget cannot be used."""

    def __init__(self, key: str, *, why: str) -> None:
        super().__init__(f"{key}: {why}")
        self.key = key
        self.why = why


class MalformedChallenge(SandboxError, ValueError):
    """A demand for payment, or a proof of one, that cannot be used."""

    def __init__(self, scheme: str, *, why: str) -> None:
        super().__init__(f"challenge {scheme[:20]}: {why}")
        self.scheme = scheme
        self.why = why


class MalformedFrame(SandboxError, ValueError):
    """Bytes on a worker's channel that no correct worker sends. Kill the worker."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"frame: {why}")
        self.why = why


class MalformedTrace(SandboxError, ValueError):
    """Bytes that are no trace of a task."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"trace: {why}")
        self.why = why


class MalformedAuditRecord(SandboxError, ValueError):
    """Bytes that are no audit record."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"audit record: {why}")
        self.why = why


class MalformedApproval(SandboxError, ValueError):
    """A rule, a question or an answer about approvals that means nothing."""

    def __init__(self, why: str) -> None:
        super().__init__(f"approval: {why}")
        self.why = why


class ApprovalClosed(SandboxError):
    """What was decided, has expired or was taken back is not decided again."""

    hint = "akshi-node approvals list"

    def __init__(self, id: str, *, state: str) -> None:
        super().__init__(f"approval {id} is {state}")
        self.id = id
        self.state = state


class OtherSubject(SandboxError):
    """The act, or the answer, is about something else than what was asked."""

    def __init__(self, id: str) -> None:
        super().__init__(f"approval {id} is for something else")
        self.id = id


class AlreadyVoted(SandboxError):
    """Each operator has one vote, and this one has given it."""

    hint = "akshi-node approvals show ID"

    def __init__(self, id: str, *, operator: str) -> None:
        super().__init__(f"approval {id}: {operator} has already approved; others must, too")
        self.id = id
        self.operator = operator


class PortRefused(SandboxError):
    """A port declined the act, and did nothing. The guest gets code and reason."""

    def __init__(self, code: FaultCode, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.why = why

    @property
    def fault(self) -> Fault:
        return Fault(self.code, self.why)


class ActFailed(PortRefused):
    """An act of our own found that it cannot be done; nothing has changed."""


class ChangesLost(ActFailed):
    """What a task had changed in its database is gone, and with it the task's good end."""

    def __init__(self, why: str) -> None:
        super().__init__(FaultCode.UNAVAILABLE, f"what the task had changed is lost: {why}")


class AuditUnavailable(SandboxError):
    """The record could not be kept, so the act did not happen."""

    hint = "akshi-node doctor"

    def __init__(self, *, why: str) -> None:
        super().__init__(f"audit log cannot be written: {why}")
        self.why = why


class AgentFault(SandboxError):
    """The guest, or the worker that runs it, broke a rule: the attempt ends."""


class Nondeterministic(AgentFault):
    """A later attempt made another call than the first one did under that number."""

    def __init__(self, number: int, *, why: str) -> None:
        super().__init__(f"host call {number}: {why}")
        self.number = number
        self.why = why


class ProtocolBroken(AgentFault):
    """A worker sent a frame out of turn."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"worker: {why}")
        self.why = why


class WorkerLost(AgentFault):
    """The worker process ended or closed its channel in the middle of an attempt."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"worker lost: {why}")
        self.why = why


class AgentUnavailable(SandboxError):
    """The agent takes no task now: it is stopped, gave up, or this host lacks its jail."""

    hint = "akshi-node status"

    def __init__(self, agent: str, *, why: str) -> None:
        super().__init__(f"agent {agent!r} does not run: {why}")
        self.agent = agent
        self.why = why


class UnknownAgent(SandboxError):
    """No agent of this name is configured here."""

    hint = "akshi-node agents list"

    def __init__(self, agent: str) -> None:
        super().__init__(f"no agent {agent!r} on this node")
        self.agent = agent


class AgentBusy(SandboxError):
    """More tasks wait for the agent than its queue holds."""

    def __init__(self, agent: str, *, queue: int) -> None:
        super().__init__(f"agent {agent!r} is busy: {queue} tasks wait")
        self.agent = agent
        self.queue = queue


class ZygoteLost(SandboxError):
    """The zygote ended; its workers ended with it, and a new one is started."""

    def __init__(self, *, why: str) -> None:
        super().__init__(f"zygote lost: {why}")
        self.why = why


class CompileFailed(SandboxError):
    """The agent's file is no component that we may run."""

    hint = "akshi-node agents list"

    def __init__(self, path: str, *, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class ModuleRefused(SandboxError):
    """The file of an agent is not the component that was approved for its name."""

    def __init__(self, agent: str, *, why: str) -> None:
        super().__init__(f"agent {agent}: {why}")
        self.agent = agent
        self.why = why


class JailMissing(SandboxError):
    """This host cannot give the isolation that `[sandbox] minimum` asks for."""

    hint = 'set minimum = "process" under [sandbox] to run agents without the jail'

    def __init__(self, *, why: str) -> None:
        super().__init__(f"jail missing: {why}")
        self.why = why


class ProgramNotStarted(SandboxError):
    """A native program could not be started in its jail."""

    hint = "akshi-node doctor"

    def __init__(self, program: str, *, why: str) -> None:
        super().__init__(f"{program[:200]} was not started: {why}")
        self.program = program
        self.why = why
