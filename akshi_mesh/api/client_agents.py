"""What a command asks of a running node about its agents."""

from typing import Any, Protocol, cast

from akshi_mesh.api.shapes import AgentInfo

RELOAD_S = 180.0  # a module that was never seen is compiled first


class Caller(Protocol):
    """A `Client`, as far as it is needed here."""

    def call(self, operation: str, /, *, timeout_s: float = ..., **arguments: object) -> Any: ...


class AgentCalls:
    """Agents of a running node, told what to do."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def start(self, name: str) -> AgentInfo:
        return cast(AgentInfo, self._caller.call("agent_start", name=name))

    def stop(self, name: str) -> AgentInfo:
        return cast(AgentInfo, self._caller.call("agent_stop", name=name))

    def restart(self, name: str) -> AgentInfo:
        return cast(AgentInfo, self._caller.call("agent_restart", name=name))

    def reload(self, name: str, *, cid: str | None = None) -> AgentInfo:
        answer = self._caller.call("agent_reload", name=name, cid=cid, timeout_s=RELOAD_S)
        return cast(AgentInfo, answer)
