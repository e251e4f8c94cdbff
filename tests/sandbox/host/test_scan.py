"""The report says what is there, and the jail is never lowered silently."""

import dataclasses
import platform

import pytest

from sandbox.errors import JailMissing
from sandbox.host import scan
from sandbox.worker import landlock, seccomp


def test_the_report_of_this_host() -> None:
    report = scan.scan()
    assert report.kernel == platform.release()
    assert report.level == ("jail" if report.seccomp else "process")
    assert report.wasmtime.count(".") == 2
    assert report.why


def test_a_host_without_the_jail_refuses_unless_the_operator_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seccomp, "available", lambda: False)
    report = scan.scan()
    assert report.level == "process"
    report.require("process")
    with pytest.raises(JailMissing) as missing:
        report.require("jail")
    assert missing.value.hint is not None
    assert 'minimum = "process"' in missing.value.hint


def test_a_machine_without_a_table_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert scan.scan().why == "no list of system calls for riscv64"
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    assert scan.scan().why == "no jail on Darwin"


def test_a_kernel_without_landlock_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    report = dataclasses.replace(scan.scan(), level="jail")
    report.require("jail")
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    monkeypatch.setattr(seccomp, "available", lambda: True)
    assert "no landlock" in scan.scan().why
