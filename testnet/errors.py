"""Everything `testnet` raises on purpose."""

from collections.abc import Sequence

from akshi_mesh.errors import BadNews, UsageError


class NodeFailed(BadNews):
    """A node of the testnet did not start."""

    def __init__(self, name: str, *, said: Sequence[str]) -> None:
        last = said[-1] if said else "it said nothing"
        super().__init__(f"{name} did not start: {last}")
        self.said = tuple(said)


class NotLinked(BadNews):
    """The nodes run, and do not find each other."""

    def __init__(self, name: str, *, missing: Sequence[str]) -> None:
        super().__init__(f"{name} has no link to {', '.join(missing)}")


class EmptyCorpus(UsageError):
    """There is no file to ask about."""

    hint = "name a directory of text files: akshi-node testnet demo --corpus DIR"


class JobFailed(BadNews):
    """The librarian's task did not end well."""
