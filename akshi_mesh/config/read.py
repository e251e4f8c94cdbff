"""The text of runtime.toml becomes a `Config`, or the list of all that is wrong with it.

Unknown keys, wrong types and values out of range are errors with a line. What this release
does not do yet is either harmless to leave out (a note says so) or would leave an agent
freer than its owner asked for (then it is an error).
"""

import re
import tomllib
from typing import get_args

from akshi_mesh.config.errors import ConfigError, Problem
from akshi_mesh.config.files import Files
from akshi_mesh.config.lines import key_lines
from akshi_mesh.config.model import (
    AGENTS_MAX,
    JOURNALS_MAX,
    LISTEN_DEFAULT,
    NETWORK_DEFAULT,
    PEERS_MAX,
    Config,
    Durability,
    JournalConfig,
    LogFormat,
    LogLevel,
    MeshConfig,
    SandboxConfig,
    SandboxLevel,
    Scope,
    TelemetryConfig,
    parse_listen,
)
from akshi_mesh.config.read_agent import read_agent
from akshi_mesh.config.read_approval import read_operators
from akshi_mesh.config.read_embeddings import read_embeddings
from akshi_mesh.config.read_identity import read_identity
from akshi_mesh.config.read_router import check_routes, read_router
from akshi_mesh.config.read_rules import read_risk
from akshi_mesh.config.read_secrets import check_owners, read_secrets
from akshi_mesh.config.read_spend import check_rails, read_spend
from akshi_mesh.config.section import Report, Section
from akshi_mesh.transport.address import Address, PeerAddress
from akshi_mesh.transport.errors import MalformedAddress
from sandbox.agent_spec import NAME_PATTERN, AgentSpec
from sandbox.secrets import SecretSource

CONFIG_CHARS_MAX = 1 << 20  # 64 agents with 256 lines each fit many times over
NETWORK_CHARS_MAX = 64
_SYNTAX_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def read_config(
    text: str,
    *,
    file: str,
    files: Files,
    source: str | None = None,
    minimum: SandboxLevel = "jail",
) -> Config:
    """Check `text` and return what its owner configured.

    Args:
        text: TOML, at most CONFIG_CHARS_MAX characters.
        file: the name to use in messages.
        files: finds the paths that are written in it.
        source: where the file lies, to be kept in the result.
        minimum: the isolation asked for where the file does not say.

    Raises:
        ConfigError: with every problem found, each with its line.
    """
    values, report = _parse(text, file)
    root = Section(report, (), values)
    mesh = _read_mesh(root)
    sandbox = _read_sandbox(root, minimum)
    telemetry = _read_telemetry(root)
    approval = read_operators(root)
    agents, sources = _read_agents(root, files, voters=1 + len(approval.operators))
    journals = _read_journals(root)
    routing = read_router(root)
    embeddings = read_embeddings(root, files)
    secrets = (*read_secrets(root), *sources, *routing.sources)
    identity = read_identity(root)
    spend = read_spend(root)
    risks = read_risk(root)
    _read_rest(root)
    root.close()
    if not report.problems:
        check_rails(root, agents, spend)
        check_routes(root, agents, routing)
        check_owners(root, agents)
    if report.problems:
        raise ConfigError(sorted(report.problems, key=lambda problem: problem.line or 0))
    notes = tuple(sorted(report.notes, key=lambda note: note.line or 0))
    return Config(
        mesh=mesh,
        sandbox=sandbox,
        telemetry=telemetry,
        agents=agents,
        journals=journals,
        notes=notes,
        source=source,
        identity=identity,
        approval=approval,
        spend=spend,
        secrets=secrets,
        risks=risks,
        router=routing.spec,
        embeddings=embeddings,
    )


def _parse(text: str, file: str) -> tuple[dict[str, object], Report]:
    """The values and the lines of a text that is TOML at all."""
    if len(text) > CONFIG_CHARS_MAX:
        raise ConfigError([Problem(file, 1, f"longer than {CONFIG_CHARS_MAX} characters")])
    try:
        values = tomllib.loads(text)
        lines = key_lines(text)
    except tomllib.TOMLDecodeError as failure:
        raise ConfigError([_syntax_problem(failure, text, file)]) from failure
    except RecursionError as failure:
        raise ConfigError([Problem(file, 1, "nested too deeply")]) from failure
    except ValueError as failure:  # a number of more digits than Python reads
        raise ConfigError([Problem(file, 1, str(failure).split(";")[0].lower())]) from failure
    return values, Report(file, lines)


def _syntax_problem(failure: tomllib.TOMLDecodeError, text: str, file: str) -> Problem:
    message = str(failure)
    line = _SYNTAX_LINE.search(message)
    if line is None:  # "(at end of document)"
        return Problem(file, text.count("\n") + 1, "not toml: the text ends too early")
    why = message[: line.start()]
    return Problem(file, int(line.group(1)), f"not toml: {why[:1].lower()}{why[1:]}")


def _read_mesh(root: Section) -> MeshConfig:
    mesh = root.table("mesh")
    if mesh is None:
        return MeshConfig()
    mesh.gone("listen_addr", 'write listen = "HOST:PORT"')
    mesh.gone("enabled", 'write listen = "off" to dial only, or leave the line out')
    mesh.gone("peer_discovery", "peers are named, discovery comes in a later release")
    mesh.gone("dht", "peers are named, discovery comes in a later release")
    mesh.gone("sync", "journals are reconciled on connect, there is nothing to tune")
    listen = LISTEN_DEFAULT if "listen" not in mesh else _read_listen(mesh)
    network = mesh.text("network", NETWORK_DEFAULT)
    if not 0 < len(network) <= NETWORK_CHARS_MAX or not network.isprintable():
        mesh.wrong("network", f"'network' wants 1 to {NETWORK_CHARS_MAX} printable characters")
    peers = _read_peers(mesh)
    durability = mesh.word("durability", get_args(Durability), "normal")
    mesh.close()
    return MeshConfig(listen=listen, network=network, peers=peers, durability=durability)


def _read_listen(mesh: Section) -> Address | None:
    text = mesh.text("listen", str(LISTEN_DEFAULT))
    try:
        return parse_listen(text)
    except MalformedAddress as malformed:
        mesh.wrong("listen", f"'listen' wants HOST:PORT or off: {malformed}")
        return LISTEN_DEFAULT


def _read_peers(mesh: Section) -> tuple[PeerAddress, ...]:
    peers: list[PeerAddress] = []
    for text in mesh.texts("peers"):
        try:
            peers.append(PeerAddress.parse(text))
        except MalformedAddress as malformed:
            mesh.wrong("peers", f"'peers' wants did:key:…[@HOST:PORT]: {malformed}")
    if len(peers) > PEERS_MAX:
        mesh.wrong("peers", f"'peers' holds {len(peers)}, at most {PEERS_MAX} are allowed")
    return tuple(dict.fromkeys(peers))


def _read_sandbox(root: Section, minimum: SandboxLevel) -> SandboxConfig:
    sandbox = root.table("sandbox")
    if sandbox is None:
        return SandboxConfig(minimum)
    chosen = sandbox.word("minimum", get_args(SandboxLevel), minimum)
    sandbox.close()
    return SandboxConfig(chosen)


def _read_telemetry(root: Section) -> TelemetryConfig:
    telemetry = root.table("telemetry")
    if telemetry is None:
        return TelemetryConfig()
    level = telemetry.word("log_level", get_args(LogLevel), "info")
    log_format = telemetry.word("log_format", get_args(LogFormat), "pretty")
    traces = telemetry.flag("traces", default=True)
    for key in ("log_file", "otel_endpoint", "otel_protocol", "metrics_enabled"):
        telemetry.later(key, f"{key!r} is not in this release and does nothing; logs go to stderr")
    telemetry.close()
    return TelemetryConfig(level, log_format, traces)


def _read_agents(
    root: Section, files: Files, *, voters: int
) -> tuple[tuple[AgentSpec, ...], tuple[SecretSource, ...]]:
    agents: dict[str, AgentSpec] = {}
    sources: list[SecretSource] = []
    for number, section in enumerate(root.tables("agents")):
        if number == AGENTS_MAX:
            section.wrong(None, f"more than {AGENTS_MAX} agents")
            break
        spec, named = read_agent(section, files, voters=voters)
        sources += named
        if spec is None:
            continue
        # Two names that a file system may take for one would share a journal.
        if spec.name.lower() in agents:
            section.wrong("name", f"agent {spec.name!r} is there twice")
        agents[spec.name.lower()] = spec
    return tuple(agents.values()), tuple(sources)


def _read_journals(root: Section) -> tuple[JournalConfig, ...]:
    journals: dict[str, JournalConfig] = {}
    for number, section in enumerate(root.tables("journals")):
        if number == JOURNALS_MAX:
            section.wrong(None, f"more than {JOURNALS_MAX} journals")
            break
        name = section.text("name", "")
        if "name" not in section:
            section.wrong(None, "a journal needs a 'name'")
        elif not NAME_PATTERN.fullmatch(name):
            section.wrong("name", f"journal {name[:64]!r}: want 1 to 64 letters, digits, _, . or -")
        elif name in journals:
            section.wrong("name", f"journal {name!r} is there twice")
        scope = section.word("scope", get_args(Scope), "local")
        section.close()
        journals[name] = JournalConfig(name, scope)
    return tuple(journals.values())


def _read_rest(root: Section) -> None:
    """Sections of later releases, and of other ones."""
    root.later("dashboard", "[dashboard] is not in this release; nothing listens for it")
    root.gone("runtime", "limits belong to an agent: [agents.limits]")
    root.gone("broker", "credentials are [[secrets]]: akshi-node secrets set")
