"""Where an agent lives: `did:key:…/agent`, `petname/agent` or `self/agent`.

The same three forms name a target and a line of `[agents.peers] allowed`; a line
may hold `*` in its agent part. Nothing is compared before both sides are DIDs.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from identity.did import Did
from identity.errors import IdentityError
from sandbox.agent_spec import NAME_PATTERN
from sandbox.errors import MalformedAgentAddress

SELF = "self"
# What a person may call a peer: anything but what the three forms are made of.
_PETNAME = re.compile(r"[^\s/:*\x00-\x1f\x7f]{1,64}")
_GLOB = re.compile(r"[A-Za-z0-9_.*-]{1,64}")

Resolve = Callable[[str], str | None]  # a petname's DID, or None if nobody has that name


def _check_node(node: str, text: str) -> None:
    if node.startswith("did:"):
        try:
            Did.parse(node)
        except IdentityError as malformed:
            raise MalformedAgentAddress(text, why=str(malformed)) from malformed
    elif not _PETNAME.fullmatch(node):
        raise MalformedAgentAddress(text, why="want did:key:…/agent, name/agent or self/agent")


def _did(node: str, *, me: str, resolve: Resolve) -> str | None:
    if node == SELF:
        return me
    return node if node.startswith("did:") else resolve(node)


@dataclass(frozen=True, slots=True)
class AgentAddress:
    """One agent on one node, as a guest wrote it.

    >>> str(AgentAddress.parse("self/reader"))
    'self/reader'
    """

    node: str
    agent: str

    def __post_init__(self) -> None:
        _check_node(self.node, str(self))
        if not NAME_PATTERN.fullmatch(self.agent):
            raise MalformedAgentAddress(str(self), why="no agent has such a name")

    @classmethod
    def parse(cls, text: str) -> Self:
        node, _, agent = text.partition("/")
        return cls(node, agent)

    def __str__(self) -> str:
        return f"{self.node}/{self.agent}"

    def did(self, *, me: str, resolve: Resolve) -> str | None:
        """The DID of the node meant, or None if its petname is nobody's."""
        return _did(self.node, me=me, resolve=resolve)


@dataclass(frozen=True, slots=True)
class AgentPattern:
    """One line of an allowlist: a node, and which of its agents.

    >>> AgentPattern.parse("self/read*").covers_name("reader")
    True
    """

    node: str
    agents: str

    def __post_init__(self) -> None:
        _check_node(self.node, str(self))
        if not _GLOB.fullmatch(self.agents):
            raise MalformedAgentAddress(
                str(self), why="want an agent's name, * standing for any part"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        node, _, agents = text.partition("/")
        return cls(node, agents)

    def __str__(self) -> str:
        return f"{self.node}/{self.agents}"

    def did(self, *, me: str, resolve: Resolve) -> str | None:
        """The DID of the node meant, or None if its petname is nobody's."""
        return _did(self.node, me=me, resolve=resolve)

    def covers_name(self, agent: str) -> bool:
        """Whether `agent` is one of the agents meant. Linear in both lengths, never worse."""
        first, *rest = self.agents.split("*")
        if not rest:
            return agent == first
        *middle, last = rest
        end = len(agent) - len(last)
        if not agent.startswith(first) or not agent.endswith(last) or end < len(first):
            return False
        at = len(first)
        for part in middle:
            at = agent.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True


# The same few addresses and lines come with every call; a DID costs 15 µs to check.
address_of = lru_cache(maxsize=1_024)(AgentAddress.parse)
pattern_of = lru_cache(maxsize=1_024)(AgentPattern.parse)
