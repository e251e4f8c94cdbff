"""Everything `testnet` raises on purpose."""

from collections.abc import Sequence

from akshi_mesh.errors import BadNews, UsageError


class NodeFailed(BadNews):
    """A node of the testnet did not start."""

    def __init__(self, name: str, *, said: Sequence[str]) -> None:
        last = said[-1] if said else "it said nothing"
        why = _told(said, "error") or last
        # Its own hint names its home already.
        super().__init__(f"{name} did not start: {why}", hint=_told(said, "hint"))
        self.said = tuple(said)


def _told(said: Sequence[str], kind: str) -> str:
    """The first line of this kind that the node told a person, or nothing."""
    prefix = f"akshi-node: {kind}: "
    return next((line.removeprefix(prefix) for line in said if line.startswith(prefix)), "")


class NotLinked(BadNews):
    """The nodes run, and do not find each other."""

    def __init__(self, name: str, *, missing: Sequence[str]) -> None:
        super().__init__(f"{name} has no link to {', '.join(missing)}")


class EmptyCorpus(UsageError):
    """There is no file to ask about."""

    hint = "name a directory of text files: akshi-node testnet demo --corpus DIR"


class JobFailed(BadNews):
    """The librarian's task did not end well."""
