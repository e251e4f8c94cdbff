"""What `sandbox` raises reads alike: one line, what and why, and a remedy where there is one."""

import inspect

import pytest

from sandbox import errors
from sandbox.errors import SandboxError
from sandbox.fault import Fault, FaultCode

SAMPLES: list[SandboxError] = [
    errors.MalformedAgentSpec("reader", key="fuel", why="want 1 or more"),
    errors.MalformedAgentAddress("x", why="no slash"),
    errors.MalformedRequest("a2a.send", why="too long"),
    errors.MalformedPath("x", why="want /shelf/path"),
    errors.MalformedJson("not JSON at character 0"),
    errors.MalformedFrame(why="too short"),
    errors.MalformedAuditRecord(why="want the keys 1 to 12"),
    errors.PortRefused(FaultCode.UNAVAILABLE, "queue full"),
    errors.ActFailed(FaultCode.INVALID, "no such file"),
    errors.ChangesLost("interrupted"),
    errors.AuditUnavailable(why="disk full"),
    errors.Nondeterministic(3, why="another call"),
    errors.ProtocolBroken(why="out of turn"),
    errors.WorkerLost(why="it closed its channel"),
    errors.AgentUnavailable("reader", why="gave up"),
    errors.UnknownAgent("reader"),
    errors.AgentBusy("reader", queue=256),
    errors.ZygoteLost(why="it ended"),
    errors.CompileFailed("reader.wasm", why="no component"),
    errors.JailMissing(why="no seccomp"),
    errors.MalformedTrace(why="want the keys 1 to 7"),
    errors.MalformedComponent("it ends in the middle"),
    errors.ModuleRefused("reader", why="its file has changed"),
    errors.ChangesLost("the disk was full"),
    errors.MalformedSecret("token", why="too short"),
    errors.AlreadyVoted("apr-1", operator="did:key:z"),
    errors.OtherSubject("apr-1"),
    errors.MalformedAnswer("over 1 MiB"),
    errors.ApprovalClosed("apr-1", state="denied"),
    errors.MalformedEndpoint("a b", why="a space"),
    errors.MalformedMcpServer("files", key="argv", why="empty"),
    errors.MalformedApproval("no such capability"),
    errors.MalformedUrl("x", why="no scheme"),
    errors.MalformedRate("often", why="want a count and a unit"),
    errors.MalformedRiskTable("http_fetch", why="no tier"),
    errors.MalformedChallenge("l402", why="asks for nothing"),
    errors.MalformedSpendPolicy("rails", why="too many"),
    errors.MalformedMoney("1", why="want an amount such as 2.00EUR"),
    errors.ProgramNotStarted("server", why="no such file"),
]


def test_every_class_has_a_sample() -> None:
    classes = {kind for _, kind in inspect.getmembers(errors, inspect.isclass)}
    raised = {kind for kind in classes if issubclass(kind, SandboxError)}
    assert raised - {type(sample) for sample in SAMPLES} == {SandboxError, errors.AgentFault}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_a_message_is_one_plain_line(sample: SandboxError) -> None:
    text = str(sample)
    assert text
    assert "\n" not in text
    assert not text.endswith(".")
    assert text[0] == text[0].lower()
    assert sample.hint is None or sample.hint


def test_a_refusal_carries_its_fault() -> None:
    refused = errors.PortRefused(FaultCode.UNAVAILABLE, "queue full")
    assert refused.fault == Fault(FaultCode.UNAVAILABLE, "queue full")
    assert str(refused.fault) == str(refused) == "unavailable: queue full"
