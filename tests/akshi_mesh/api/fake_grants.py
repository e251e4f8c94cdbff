"""The grants of a node that is not there."""

from collections.abc import Sequence

from akshi_mesh.api import shapes
from akshi_mesh.api.shapes_grants import GrantInfo

GRANT: GrantInfo = {
    "id": "ab" * 32,
    "side": "given",
    "issuer": "did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b",
    "holder": "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
    "through": [],
    "allow": ["a2a:reader"],
    "caps": ["filesystem", "spend"],
    "spend": "2.00EUR/day",
    "until_ms": 1_800_000_000_000,
    "state": "in force",
    "text": "akshi-grant:gA",
}


class FakeGrants:
    """Fixed answers; `_note` is who mixes this in."""

    def _note(self, method: str, *arguments: object) -> None:
        raise NotImplementedError

    async def grant_make(
        self,
        did: str,
        *,
        allow: Sequence[str],
        caps: Sequence[str] | None,
        spend: str | None,
        until_ms: int,
        source: str | None,
    ) -> GrantInfo:
        self._note("grant_make", did, tuple(allow), caps, spend, until_ms, source)
        return GRANT

    async def grant_use(self, chain: bytes) -> GrantInfo:
        self._note("grant_use", chain)
        return {**GRANT, "side": "held"}

    async def grant_list(self) -> list[GrantInfo]:
        return [GRANT]

    async def grant_show(self, grant_id: str) -> GrantInfo:
        self._note("grant_show", grant_id)
        return GRANT

    async def grant_drop(self, grant_id: str) -> shapes.Done:
        self._note("grant_drop", grant_id)
        return {"note": "withdrawn"}
