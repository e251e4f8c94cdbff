"""One [[agents]] table becomes an `AgentSpec`: what may run, and what it may touch."""

from typing import Any, Literal, get_args

from akshi_mesh.config.files import Files
from akshi_mesh.config.read_approval import read_approval
from akshi_mesh.config.read_endpoints import read_endpoints
from akshi_mesh.config.read_mcp import read_mcp_servers
from akshi_mesh.config.read_rules import read_rates
from akshi_mesh.config.read_spend import read_agent_spend
from akshi_mesh.config.section import Section
from sandbox.agent_address import AgentPattern
from sandbox.agent_spec import AgentSpec
from sandbox.capability import FUNCTIONS, Capability
from sandbox.errors import MalformedAgentAddress, MalformedAgentSpec
from sandbox.secrets import SecretSource

Wasi = Literal["none", "empty"]

WORKING = frozenset(
    function.capability
    for function in FUNCTIONS.values()
    if function.capability is not None and function.effect is not None
)
# Which section an allowlisted capability needs before it reaches anything at all.
_SECTION_OF = {
    Capability.HTTP_FETCH: "endpoints",
    Capability.A2A: "peers",
    Capability.FILESYSTEM: "filesystem",
}
# What `AgentSpec` calls a value, and where its owner wrote it.
_WHERE = {
    "memory_mb": ("limits", "memory_mb"),
    "fuel": ("limits", "fuel"),
    "wall_clock_s": ("limits", "wall_clock_s"),
    "workers": ("limits", "workers"),
    "queue": ("limits", "queue"),
    "restart_backoff_s": ("restart_backoff_secs",),
    "peers.allowed": ("peers", "allowed"),
    "filesystem.allowed": ("filesystem", "allowed"),
}
_DEFAULT = AgentSpec(name="default", wasm_path="/default.wasm")


def read_agent(
    section: Section, files: Files, *, voters: int = 1
) -> tuple[AgentSpec | None, tuple[SecretSource, ...]]:
    """The agent of one table, and the secrets it names; None if something is wrong in it.

    `voters` says how many may answer its questions to people.
    """
    name = section.text("name", "")
    if "name" not in section:
        section.wrong(None, "an agent needs a 'name'")
        name = _DEFAULT.name  # so that the rest is read, too
    _read_other_dialects(section)
    capabilities = _read_capabilities(section)
    endpoints, sources = read_endpoints(section, name)
    limits = section.table("limits") or section.nothing("limits")
    spec = _spec(
        section,
        {
            "name": name,
            "wasm_path": _read_wasm_path(section, files),
            "wasm_cid": section.text("wasm_cid", "") or None,
            "capabilities": capabilities,
            "approval": read_approval(section, capabilities, voters=voters),
            "peers_allowed": _read_peers(section),
            "filesystem_allowed": _read_paths(section, files),
            "endpoints": endpoints,
            "memory_mb": limits.whole("memory_mb", _DEFAULT.memory_mb),
            "fuel": limits.whole("fuel", _DEFAULT.fuel),
            "wall_clock_s": limits.number("wall_clock_s", _DEFAULT.wall_clock_s),
            "workers": limits.whole("workers", _DEFAULT.workers),
            "queue": limits.whole("queue", _DEFAULT.queue),
            "max_restarts": section.whole("max_restarts", _DEFAULT.max_restarts),
            "restart_backoff_s": section.number("restart_backoff_secs", _DEFAULT.restart_backoff_s),
            "wasi": section.word("wasi", get_args(Wasi), _DEFAULT.wasi),
            "rates": read_rates(section),
            "spend": read_agent_spend(section, capabilities),
            "mcp_servers": read_mcp_servers(section, files),
            "share_originators": section.flag("share_originators"),
        },
    )
    limits.close()
    _note_missing_sections(section, capabilities)
    section.close()
    return spec, sources


def _spec(section: Section, values: dict[str, Any]) -> AgentSpec | None:
    """The agent of these values, or None and every one of them that is wrong reported."""
    is_good = True
    while True:
        try:
            spec = AgentSpec(**values)
        except MalformedAgentSpec as malformed:
            where = _WHERE.get(malformed.key, (malformed.key,))
            section.wrong_below(where, f"{'.'.join(where)}: {malformed.why}")
            field = malformed.key.replace(".", "_")
            values[field] = getattr(_DEFAULT, field)  # to be told of the next one, too
            is_good = False
        else:
            return spec if is_good else None


def _read_wasm_path(section: Section, files: Files) -> str:
    written = section.text("wasm_path", "")
    if "wasm_path" not in section:
        section.wrong(None, "an agent needs a 'wasm_path'")
        return ""
    if not written or "\0" in written:
        section.wrong("wasm_path", "'wasm_path' is empty or holds a NUL")
        return ""
    path = files.place(written)
    if not files.is_file(path):
        section.wrong("wasm_path", f"no file {path}")
    return path


def _read_capabilities(section: Section) -> frozenset[Capability]:
    table = section.table("capabilities")
    if table is None:
        return frozenset()
    granted = frozenset(capability for capability in Capability if table.flag(capability.value))
    for capability in sorted(granted - WORKING):
        table.note(
            capability.value,
            f"{capability.value!r} is granted but not in this release: "
            "calls are answered `unavailable`",
        )
    table.close()
    return granted


def _read_peers(section: Section) -> tuple[str, ...]:
    peers = section.table("peers")
    if peers is None:
        return ()
    allowed = peers.texts("allowed")
    for text in allowed:
        try:
            AgentPattern.parse(text)
        except MalformedAgentAddress as malformed:
            peers.wrong("allowed", str(malformed))
    peers.close()
    return allowed


def _read_paths(section: Section, files: Files) -> tuple[str, ...]:
    filesystem = section.table("filesystem")
    if filesystem is None:
        return ()
    allowed: list[str] = []
    for written in filesystem.texts("allowed"):
        if not written or "\0" in written:
            filesystem.wrong("allowed", "a path is empty or holds a NUL")
            continue
        path = files.place(written)
        if not files.is_directory(path):
            filesystem.note("allowed", f"no directory {path}")
        allowed.append(path)
    filesystem.close()
    return tuple(allowed)


def _note_missing_sections(section: Section, granted: frozenset[Capability]) -> None:
    for capability, name in _SECTION_OF.items():
        if capability in granted and name not in section:
            section.note_below(
                ("capabilities", capability.value),
                f"{capability.value!r} is granted without [agents.{name}] allowed, "
                "and an empty allowlist blocks all",
            )
        elif capability not in granted and name in section:
            section.note(name, f"[agents.{name}] has no effect: {capability.value!r} is off")


def _read_other_dialects(section: Section) -> None:
    section.gone("wasm", "write wasm_path")
    section.gone("tick_interval_secs", "an agent runs when a task comes, not on a clock")
    section.gone("tick_interval_ms", "an agent runs when a task comes, not on a clock")
    section.gone("fuel_limit", "write fuel under [agents.limits]")
    section.gone("memory_limit_mb", "write memory_mb under [agents.limits]")
    section.gone("spend_policy", "write [agents.spend]")
    section.gone("enabled", "take the agent out of the file instead")
    section.gone("env", "agents have no environment; a task carries what they need")
    section.later("route_profile", "[agents.route_profile] is not in this release")
    section.later("description", "'description' is not shown in this release")
    section.later("tags", "'tags' are not shown in this release")
