"""Why a secret cannot be kept or used. No message ever holds a value.

NoSuchSecret     the name is not in the box          -> the operator looks at the list
SecretConflict   it would go where another one goes  -> the operator takes one of them away
BoxFull          more names, places or values than the box holds
BoxLocked        the key of the box is not to be had -> the operator brings it
BoxDamaged       the file is not what we wrote       -> the operator restores or resets it
"""

from akshi_mesh.api.errors import Damaged, Denied, NotKnown, Unavailable


class NoSuchSecret(NotKnown):
    """The box holds no secret of that name."""

    hint = "akshi-node secrets list"

    def __init__(self, name: str) -> None:
        super().__init__(f"no secret {name[:64]!r}")


class SecretConflict(Denied):
    """Two secrets would be the same header of the same request."""

    def __init__(self, name: str, other: str, place: str) -> None:
        super().__init__(
            f"secret {other!r} goes to {place} in the same header already",
            hint=f"akshi-node secrets rm {other}",
        )
        self.name = name


class BoxFull(Denied):
    """More than the box holds."""

    hint = "akshi-node secrets list"


class BoxLocked(Denied):
    """The values are there, and the key that opens them is not."""


class BoxUnwritable(Unavailable):
    """The disk did not take the box; what was there before still is."""

    hint = "akshi-node doctor"


class BoxDamaged(Damaged):
    """The file is no box, or an entry was changed or moved."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            f"{path}: {why}",
            hint="put a copy of the file back, or delete it and set every secret again",
        )
        self.why = why
