"""Everything a running node answers instead of a result.

Choose by whose turn it is; each class has one HTTP status and one exit code:

    BadRequest     400  exit 2   the caller passed nonsense
    NotKnown       404  exit 2   no such task, agent, journal or peer
    Denied         403  exit 3   policy says no; the hint is the command that would allow it
    BadToken       401  exit 3   the caller did not show the token of this home
    PeerSilent     504  exit 4   the peer did not answer in time
    Unavailable    503  exit 4   the node is starting, stopping or not there
    Damaged        409  exit 5   a store failed its checks
"""

from typing import ClassVar

from akshi_mesh.errors import BadNews, OperatorError, Refused, Unreachable, UsageError


class ControlError(OperatorError):
    """Root of what `Control` raises on purpose."""

    http_status: ClassVar[int] = 400


class BadRequest(ControlError, UsageError):
    """The caller passed nonsense."""


class NotKnown(ControlError, UsageError):
    """No such task, agent, journal or peer."""

    http_status = 404


class Denied(ControlError, Refused):
    """Policy says no; `hint` is the command that would allow it."""

    http_status = 403


class BadToken(ControlError, Refused):
    """The caller did not show the token of this home."""

    http_status = 401


class PeerSilent(ControlError, Unreachable):
    """The peer did not answer in time."""

    http_status = 504


class Unavailable(ControlError, Unreachable):
    """The node is starting, stopping or not there."""

    http_status = 503


class Damaged(ControlError, BadNews):
    """A store failed its checks."""

    http_status = 409


ALL: tuple[type[ControlError], ...] = (
    BadRequest,
    NotKnown,
    Denied,
    BadToken,
    PeerSilent,
    Unavailable,
    Damaged,
)
BY_STATUS: dict[int, type[ControlError]] = {kind.http_status: kind for kind in ALL}
