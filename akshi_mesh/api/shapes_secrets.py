"""What a node tells about its secrets: everything but their values."""

from typing import Literal, TypedDict


class SecretInfo(TypedDict):
    """One binding of one secret.

    `source` is ``box``, ``$VARIABLE`` or ``none``; `key` says where the key of the box is, and is
    null for what is not in it. `revoked` lists the agents that must not use it here, ``*`` for
    all. `uses` counts since the node started.
    """

    name: str
    endpoint: str
    methods: list[str]
    header: str
    format: str
    agent: str | None
    source: str
    key: Literal["keyring", "systemd", "file", "passphrase"] | None
    state: Literal["ready", "revoked", "no value", "locked"]
    why: str
    revoked: list[str]
    set_ms: int | None
    uses: int
    last_used_ms: int | None
