"""`doctor`: is this machine, this home and this configuration fit to run a node?"""

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING

import typer

from akshi_mesh.cli.report import tell_report
from akshi_mesh.cli.session import Session, command
from akshi_mesh.errors import OperatorError

if TYPE_CHECKING:
    from akshi_mesh.api.shapes import CheckReport, Finding
    from akshi_mesh.config.model import Config

DISK_FREE_BYTES_MIN = 64 << 20  # 16 MiB stay reserved for stop and revocation, and room to breathe
# Certificates and expiries are of no use to a clock that stands before this program was made.
CLOCK_MS_MIN = 1_790_000_000_000


def register(app: typer.Typer) -> None:
    command(app, "doctor")(doctor)


def doctor(session: Session) -> None:
    """Check machine, home, trust and configuration, and name the remedy of what is wrong."""
    findings = list(_findings(session))
    report: CheckReport = {"ok": all(found["ok"] for found in findings), "findings": findings}
    tell_report(session, report, what="doctor")


def _findings(session: Session) -> "Iterator[Finding]":
    yield _good("python", f"{sys.version.split()[0]}, akshi-mesh {metadata.version('akshi-mesh')}")
    yield _clock()
    yield from _home(session)
    config: Config | None = None
    try:
        config = session.last_config() if session.home.is_held() else session.config()
    except OperatorError as failure:
        yield _bad("configuration", str(failure), failure.hint or "akshi-node config check")
    else:
        notes = f", {len(config.notes)} to know: akshi-node config check" if config.notes else ""
        yield _good("configuration", (config.source or "none, all defaults") + notes)
    yield from _isolation(config)
    yield from _running(session, config)


def _home(session: Session) -> "Iterator[Finding]":
    from akshi_mesh.cli.first import did_of
    from identity.files import load_trust

    home = session.home
    yield _try("home", lambda: _checked(session))
    if not home.exists:
        return
    yield _try("key", lambda: str(did_of(home)))
    yield _try("trust", lambda: f"{len(load_trust(home.path))} trusted")
    yield _try("api token", lambda: "there" if home.api_token() else "")
    free = shutil.disk_usage(home.path).free
    enough = free >= DISK_FREE_BYTES_MIN
    text = f"{free >> 20} MiB free"
    yield _good("disk", text) if enough else _bad("disk", text, "free some disk space")
    writable = os.access(home.path, os.W_OK)
    yield (
        _good("writable", "yes")
        if writable
        else _bad("writable", f"{home.path} is read-only", "make the home writable")
    )


def _checked(session: Session) -> str:
    session.require_home()
    return str(session.home.path)


def _clock() -> "Finding":
    now_ms = time.time_ns() // 1_000_000
    if now_ms < CLOCK_MS_MIN:
        return _bad("clock", "it stands before this program was made", "set the clock")
    return _good("clock", time.strftime("%Y-%m-%d %H:%M:%S %Z"))


def _isolation(config: "Config | None") -> "Iterator[Finding]":
    from sandbox.errors import SandboxError
    from sandbox.host.scan import scan

    report = scan()
    yield _good("kernel", f"{report.system} {report.kernel} {report.machine}")
    minimum = config.sandbox.minimum if config is not None else "jail"
    try:
        report.require(minimum)
    except SandboxError:
        remedy = 'write minimum = "process" under [sandbox] to run agents without the jail'
        yield _bad("isolation", f"{report.level}: {report.why}", remedy)
    else:
        yield _good("isolation", f"{report.level}: {report.why}")
    if config is not None and any(s.argv for a in config.agents for s in a.mcp_servers):
        from sandbox.host.program import probe

        found = probe()
        level = f"{found.level or 'no jail'}: {found.why}"
        if found.level is None:
            yield _bad("programs", level, "run MCP servers elsewhere, and give their url")
        else:
            yield _good("programs", level)
    spaces = "yes" if report.user_namespaces else "no"
    kvm = "yes" if report.kvm else "no"
    yield _good("wasmtime", f"{report.wasmtime}, user namespaces {spaces}, kvm {kvm}")


def _running(session: Session, config: "Config | None") -> "Iterator[Finding]":
    from akshi_mesh.api.client import NoNode

    if not session.home.exists:
        return
    try:
        status = session.node().status()
    except NoNode:
        yield _good("node", "does not run")
        if config is not None and config.mesh.listen is not None:
            yield _port(config.mesh.listen.host, config.mesh.listen.port)
        return
    except OperatorError as failure:
        yield _bad("node", str(failure), failure.hint)
        return
    yield _good("node", f"runs as process {status['pid']}, listens on {status['listen']}")
    for peer in status["peers"]:
        name = peer["name"] or peer["did"]
        if peer["state"] == "linked" or not peer["why"]:
            yield _good(f"peer {name}", peer["state"])
        else:
            yield _bad(f"peer {name}", f"{peer['state']}: {peer['why']}", "akshi-node peers")
    for agent in status["agents"]:
        if agent["why"]:
            why = f"{agent['state']}: {agent['why']}"
            yield _bad(f"agent {agent['name']}", why, "akshi-node agents list")
        else:
            yield _good(f"agent {agent['name']}", agent["state"])


def _port(host: str, port: int) -> "Finding":
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        # As the node does: an old connection in its last minutes is not in the way.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as failure:
            why = f"{host}:{port}: {(failure.strerror or 'unusable').lower()}"
            return _bad("port", why, "akshi-node run --listen HOST:PORT")
    return _good("port", f"{host}:{port} is free")


def _try(what: str, check: Callable[[], str]) -> "Finding":
    from akshi_mesh.api.told import FAMILIES

    try:
        return _good(what, check())
    except (OperatorError, OSError, *FAMILIES) as failure:
        return _bad(what, str(failure), getattr(failure, "hint", None) or "")


def _good(what: str, why: str) -> "Finding":
    return {"what": what, "ok": True, "why": why, "remedy": ""}


def _bad(what: str, why: str, remedy: str) -> "Finding":
    return {"what": what, "ok": False, "why": why, "remedy": remedy}
