"""Logs are events that machines can read and strangers cannot forge."""

import json
from collections.abc import Iterator

import pytest
import structlog

from akshi_mesh.config.model import TelemetryConfig
from akshi_mesh.logs import VALUE_CHARS_MAX, configure_logs


@pytest.fixture(autouse=True)
def _forget_configuration() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_json_has_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(TelemetryConfig(log_format="json"))
    log = structlog.get_logger()
    log.info("link.up", peer="did:key:z", key=b"\xff", size=3)
    log.debug("not.shown")
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["event"], event["level"], event["peer"]) == ("link.up", "info", "did:key:z")
    assert (event["key"], event["size"]) == ("ff", 3)


@pytest.mark.parametrize("log_format", ["pretty", "compact", "json"])
def test_a_guest_cannot_forge_a_line(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure_logs(TelemetryConfig(log_format=log_format))  # type: ignore[arg-type]
    log = structlog.get_logger()
    log.info("agent.says", text="x\n2026-01-01T00:00:00 info forged\x1b[2J\u202e")
    log.info("agent.says", text="no-blank\nforged\x1b[2J\u202e")
    log.info("agent.says", text="y" * 10_000)
    first, bare, second = capsys.readouterr().err.splitlines()
    assert "agent.says" in first
    assert "\x1b" not in first + bare
    assert "\u202e" not in first + bare
    assert len(second) < VALUE_CHARS_MAX + 200


def test_the_level_is_the_least_that_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(TelemetryConfig(log_level="error"))
    structlog.get_logger().warning("w")
    structlog.get_logger().error("e")
    assert [line.split()[2] for line in capsys.readouterr().err.splitlines()] == ["e"]
