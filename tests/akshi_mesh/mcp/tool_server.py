"""A real MCP server over standard input and output, made with the official SDK.

python tool_server.py [FILE]     with FILE it also reads and writes there
"""

import os
import sys
import time
from pathlib import Path

from mcp.server.mcpserver import MCPServer

server = MCPServer("tools")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def say(text: str) -> str:
    """Give back what was said."""
    return text


@server.tool()
def read_file(path: str) -> str:
    """Read a file."""
    return Path(path).read_text()


@server.tool()
def write_file(path: str, text: str) -> str:
    """Write a file."""
    Path(path).write_text(text)
    return "written"


@server.tool()
def environment() -> str:
    """What variables there are."""
    return ",".join(sorted(os.environ))


@server.tool()
def big(characters: int) -> str:
    """A long answer."""
    return "x" * characters


@server.tool()
def sleep(seconds: float) -> str:
    """A slow answer."""
    time.sleep(seconds)
    return "slept"


@server.tool()
def crash() -> str:
    """No answer."""
    print("\x1b[2Jgoing down", file=sys.stderr, flush=True)
    os._exit(7)


if __name__ == "__main__":
    server.run("stdio")
