"""The report has exactly the promised numbers, each in its promised shape. No time is asserted."""

import json
import sys

import pytest

import bench.__main__
from bench import agent_start
from bench.figure import Promise, Sample
from bench.promises import PROMISES

# The names other people read the report by, with what each must reach, and should.
PROMISED = {
    "receive_signed_vs_verify_limit": (0.75, 0.9),
    "rtt_vs_raw_trio": (1.7, 1.4),
    "connect_ms": (2.0, 1.0),
    "task_p50_ms": (1.5, 1.0),
    "tasks_per_s_16": (1_000, 1_500),
    "catch_up_entries_per_s": (50_000, 100_000),
    "gate_decision_us": (20, 10),
    "host_call_us": (200, 120),
    "http_fetch_us": (1.25, 1.0),
    "redaction_1mib_20_secrets_ms": (50, 15),
    "agent_start_ms": (15, 6),
    "stop_20_agents_ms": (100, 30),
    "stop_blocked_call_ms": (100, 40),
    "stop_streaming_ms": (100, 40),
    "stop_payment_ms": (100, 40),
    "stop_approval_ms": (100, 40),
    "stop_hung_loop_ms": (1_100, 1_020),
    "spend_kill_ms": (100, 10),
    "audit_append_us": (60, 40),
    "audit_verify_per_s": (100_000, 300_000),
    "audit_export_per_s": (100_000, 300_000),
    "idle_rss_mb": (90, 70),
    "start_to_ready_s": (1.0, 0.5),
}
BIGGER = {
    "audit_export_per_s",
    "audit_verify_per_s",
    "catch_up_entries_per_s",
    "receive_signed_vs_verify_limit",
    "tasks_per_s_16",
}


def test_each_number_is_promised_as_the_design_says() -> None:
    assert {p.key: (p.must, p.stretch) for p in PROMISES} == PROMISED
    assert {p.key for p in PROMISES if p.bigger_is_better} == BIGGER


def test_the_report_is_one_object_with_the_promised_keys(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where everything is short: then it says so, and exits 0."""
    short = [
        Promise(p.key, p.unit, p.must, p.stretch, lambda: Sample(2.0, 4.0), p.bigger_is_better)
        for p in PROMISES
    ]
    monkeypatch.setattr(bench.__main__, "PROMISES", short)
    monkeypatch.setattr(bench.__main__, "configure_logs", lambda _: None)
    assert bench.__main__.main(["--json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert list(report) == list(PROMISED)
    for figure in report.values():
        assert set(figure) == {"value", "unit", "yardstick", "ratio", "must", "stretch"}
        assert figure["ratio"] == figure["value"] / figure["yardstick"]
    assert "SHORT tasks_per_s_16" in said.err


def test_the_best_round_counts() -> None:
    rounds = iter([Sample(3.0), Sample(1.0), Sample(2.0)] * 2)
    less = Promise("a", "ms", 1.0, 1.0, lambda: next(rounds))
    more = Promise("b", "per s", 1.0, 1.0, lambda: next(rounds), bigger_is_better=True)
    assert (less.best(3).value, more.best(3).value) == (1.0, 3.0)


def test_an_unknown_key_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as refused:
        bench.__main__.main(["--only", "no_such_number"])
    assert refused.value.code == 2


@pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only")
def test_a_measurement_gives_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_start, "STARTS", 1)
    assert agent_start.measure().value > 0
