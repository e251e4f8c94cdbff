"""What a node tells about signed grants."""

from typing import Literal, TypedDict


class GrantInfo(TypedDict):
    """One grant that this node gave, holds, or was shown.

    `issuer` is whose node it is good for; `through` are those it went through between issuer and
    holder. `state` is ``in force``, or why it does not stand. `text` is what is passed on.
    """

    id: str
    side: Literal["given", "held", "shown"]
    issuer: str
    holder: str
    through: list[str]
    allow: list[str]
    caps: list[str]
    spend: str | None
    until_ms: int
    state: str
    text: str
