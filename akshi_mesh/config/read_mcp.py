"""`[[agents.mcp_servers]]`: the tool servers of one agent."""

from akshi_mesh.config.files import Files
from akshi_mesh.config.section import Section
from sandbox.errors import MalformedMcpServer
from sandbox.mcp_server import SERVERS_MAX, McpServerSpec

_DEFAULT = McpServerSpec("default", argv=("/default",))
# What `McpServerSpec` calls a value, and where its owner wrote it.
_WHERE = {"timeout_s": "timeout_secs"}


def read_mcp_servers(section: Section, files: Files) -> tuple[McpServerSpec, ...]:
    """The servers of the agent in `section`; what is wrong is reported and left out."""
    servers: dict[str, McpServerSpec] = {}
    for number, table in enumerate(section.tables("mcp_servers")):
        if number == SERVERS_MAX:
            table.wrong(None, f"more than {SERVERS_MAX} mcp servers")
            break
        spec = _read_server(table, files)
        if spec is None:
            continue
        # AGENT/SERVER names one, whatever a person types in which case.
        if spec.name.lower() in servers:
            table.wrong("name", f"mcp server {spec.name!r} is there twice")
        servers[spec.name.lower()] = spec
    return tuple(servers.values())


def _read_server(table: Section, files: Files) -> McpServerSpec | None:
    name = table.text("name", "")
    argv = table.texts("argv")
    if argv and "/" in argv[0]:
        argv = (files.place(argv[0]), *argv[1:])
    url = table.text("url", "") if "url" in table else None
    tools = table.texts("tools")
    if not tools:
        table.note(None, f"mcp server {name[:64]!r} has no 'tools', and an empty list blocks all")
    table.gone("command", "write argv = [PROGRAM, WORD, …]")
    table.gone("args", "write argv = [PROGRAM, WORD, …]")
    table.gone("headers", "a header with a credential is a [[secrets]] entry for the url")
    try:
        spec = McpServerSpec(
            name=name,
            argv=argv,
            url=url,
            tools=tools,
            env=table.texts("env"),
            read=_paths(table, "read", files),
            write=_paths(table, "write", files),
            network=table.flag("network"),
            timeout_s=table.number("timeout_secs", _DEFAULT.timeout_s),
            memory_mb=table.whole("memory_mb", _DEFAULT.memory_mb),
            processes=table.whole("processes", _DEFAULT.processes),
        )
    except MalformedMcpServer as malformed:
        key = _WHERE.get(malformed.key, malformed.key)
        table.wrong(key if key in table else None, str(malformed))
        spec = None
    table.close()
    return spec


def _paths(table: Section, key: str, files: Files) -> tuple[str, ...]:
    found: list[str] = []
    for written in table.texts(key):
        if not written or "\0" in written:
            table.wrong(key, "a path is empty or holds a NUL")
            continue
        path = files.place(written)
        if not files.is_file(path) and not files.is_directory(path):
            table.note(key, f"nothing at {path}")
        found.append(path)
    return tuple(found)
