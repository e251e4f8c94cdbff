"""Tools of MCP servers, for agents: sessions over the official SDK, and pinned definitions."""
