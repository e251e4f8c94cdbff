"""What a file would be told by a node: accepted or not, and what each of its calls would meet."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from wasmtime import Engine, Module, wat2wasm

from akshi_mesh.cli.main import main
from akshi_mesh.workshop.errors import NotAComponent
from akshi_mesh.workshop.inspect import inspect, refusal

ROOT = Path(__file__).parents[3]
SCRIBE = ROOT / "examples" / "agents" / "scribe.wasm"
EVERY = ROOT / "examples" / "agents" / "every.wasm"
FOREIGN = ROOT / "tests" / "agents" / "foreign_wasi.wasm"

CONFIG = """
[[agents]]
name = "scribe"
wasm_path = "{wasm}"

[agents.capabilities]
journal = true
http_fetch = true

[agents.endpoints]
allowed = ["api.example.com"]

[agents.approval]
http_fetch = true

[agents.rates]
journal = "60/min"
"""


def answer(capsys: pytest.CaptureFixture[str], *typed: object) -> tuple[int, dict[str, Any], str]:
    capsys.readouterr()
    code = main(["agents", "inspect", *map(str, typed), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def config(tmp_path: Path, wasm: Path, more: str = "") -> Path:
    path = tmp_path / "runtime.toml"
    path.write_text(CONFIG.format(wasm=wasm) + more)
    path.chmod(0o600)
    return path


def test_a_component_of_ours_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    code, said, _ = answer(capsys, SCRIBE)
    assert code == 0
    assert said["accepted"] is True
    assert said["capabilities"] == ["journal"]
    assert said["foreign"] == []
    assert said["cid"] == inspect(SCRIBE).cid


def test_a_foreign_import_is_named_and_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, said, err = answer(capsys, FOREIGN)
    assert code == 5
    assert said["accepted"] is False
    assert said["foreign"] == ["wasi:cli/environment@0.2.0"]
    assert "no node would run this" in err


def test_what_only_the_engine_sees_is_refused_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.wasm"  # names as ours, another type
    wrong.write_bytes(
        wat2wasm(
            """(component
              (import "akshi:agent/journal@0.1.0"
                (instance (export "append" (func (param "n" u32)))))
              (core module $m (func (export "r")))
              (core instance $i (instantiate $m))
              (func $r (canon lift (core func $i "r")))
              (export "run" (func $r)))"""
        )
    )
    code, said, _ = answer(capsys, wrong, "--quick")
    assert (code, said["accepted"]) == (0, None)  # not claimed
    code, said, _ = answer(capsys, wrong)
    assert (code, said["accepted"]) == (5, False)
    assert "signature" in said["refusals"][0]


def test_each_import_is_held_against_the_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, said, _ = answer(capsys, EVERY, "--quick", "-c", config(tmp_path, EVERY))
    met = {one["function"]: one for one in said["functions"]}
    assert said["agent"] == "scribe"
    assert met["journal.read"] == {
        "function": "journal.read",
        "capability": "journal",
        "granted": True,
        "covers": ["the journal 'scribe'"],
        "approval": "at high risk, waits 300 s",
        "rate": "60/min",
    }
    assert met["http-fetch.fetch"]["covers"] == ["api.example.com"]
    assert met["http-fetch.fetch"]["approval"] == "always, waits 300 s"
    assert {name for name, one in met.items() if one["granted"]} == {
        "journal.read",
        "http-fetch.fetch",
    }


def test_what_is_granted_and_not_asked_for_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, said, _ = answer(capsys, SCRIBE, "--quick", "-c", config(tmp_path, SCRIBE))
    assert said["notes"] == ["http_fetch is granted, and this component cannot ask for it"]


def test_a_pinned_agent_takes_no_other_component(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = CONFIG.format(wasm=SCRIBE).replace(
        "[agents.cap", f'wasm_cid = "{inspect(EVERY).cid}"\n[agents.cap', 1
    )
    path = tmp_path / "runtime.toml"
    path.write_text(text)
    path.chmod(0o600)
    code, said, _ = answer(capsys, SCRIBE, "--quick", "-c", path)
    assert code == 5
    assert "may only run" in said["refusals"][0]


def test_which_agent_must_be_clear(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = f'\n[[agents]]\nname = "other"\nwasm_path = "{EVERY}"\n'
    path = config(tmp_path, SCRIBE, other)
    assert answer(capsys, SCRIBE, "--quick", "-c", path)[1]["agent"] == "scribe"  # by its file
    assert answer(capsys, EVERY, "--quick", "-c", path, "--agent", "scribe")[0] == 0
    code, _, err = answer(capsys, FOREIGN, "--quick", "-c", path)
    assert code == 2
    assert "does not say as which agent" in err
    code, _, err = answer(capsys, SCRIBE, "--quick", "-c", path, "--agent", "nobody")
    assert code == 2
    assert "no agent 'nobody'" in err
    code, _, err = answer(capsys, SCRIBE, "--agent", "scribe")
    assert code == 2
    assert "-c FILE" in err


HOSTILE = {
    "empty": b"",
    "text": b"(component)",
    "core": wat2wasm("(module)"),
    "precompiled": bytes(Module(Engine(), "(module)").serialize()),
    "truncated": SCRIBE.read_bytes()[:3_000],
    "huge": b"\0asm\x0d\0\x01\0" + bytes(33 << 20),
    "controls": b"\x1b]0;owned\x07" * 10,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_none_ends_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = tmp_path / "agent.wasm"
    path.write_bytes(HOSTILE[kind])
    code, said, err = answer(capsys, path)
    assert (code, said) == (2, {})
    assert len(err.splitlines()) == 1
    assert err.startswith(f"akshi-node: error: {path}: ")


def test_names_of_a_stranger_are_inert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = b"evil:\x1b[2J\xe2\x80\xae/x"
    body = b"\x01\x00" + bytes([len(name)]) + name + b"\x05\x00"
    path = tmp_path / "evil.wasm"
    types = b"\x07\x03\x01\x42\x00"  # one instance, nothing in it
    path.write_bytes(b"\0asm\x0d\0\x01\0" + types + b"\x0a" + bytes([len(body)]) + body)
    assert main(["agents", "inspect", str(path)]) == 5
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert "\u202e" not in out + err


def test_a_pipe_or_a_directory_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotAComponent, match="not a regular file"):
        inspect(tmp_path / "pipe")
    assert main(["agents", "inspect", str(tmp_path)]) == 2


def test_a_file_that_changes_between_the_two_looks_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "agent.wasm"
    path.write_bytes(SCRIBE.read_bytes())
    with pytest.raises(ExceptionGroup) as raised:
        refusal(path, b"\0" * 32)
    assert raised.group_contains(NotAComponent, match="changed")
