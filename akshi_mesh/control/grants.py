"""Grants of a running node: given, held, shown. Each change is in the log, then on disk."""

from collections.abc import Sequence

from akshi_mesh.api.errors import BadRequest, NotKnown
from akshi_mesh.api.shapes import Done
from akshi_mesh.api.shapes_grants import GrantInfo
from akshi_mesh.cli import trust_file
from akshi_mesh.grant_book import Kept
from akshi_mesh.parts import Parts
from akshi_mesh.scopes import read_scope
from identity.did import Did
from identity.grants import LIFE_MS_MAX
from identity.rights import Right

PREFIX_DIGITS_MIN = 4


class GrantControl:
    """`Control`, as far as it is about grants."""

    _parts: Parts

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
        parts, store = self._parts, self._parts.trust.store
        if until_ms > parts.clock().wall_ms + LIFE_MS_MAX:
            raise BadRequest("a grant lives at most a day", hint="--until 24h")
        grant = parts.grants.make(
            trust_file.find(store, did),
            rights=[Right.parse(text) for text in allow],
            scope=read_scope(caps or (), spend, store),
            until_ms=until_ms,
            issuer=None if source is None else trust_file.find(store, source),
        )
        return grant_info(Kept("given", grant, None))

    async def grant_use(self, chain: bytes) -> GrantInfo:
        return grant_info(Kept("held", self._parts.grants.use(chain), None))

    async def grant_list(self) -> list[GrantInfo]:
        return [grant_info(kept) for kept in self._kept()]

    async def grant_show(self, grant_id: str) -> GrantInfo:
        return grant_info(self._one(grant_id))

    async def grant_drop(self, grant_id: str) -> Done:
        kept = self._one(grant_id)
        self._parts.grants.drop(kept.side, kept.grant)
        if kept.side == "held":
            return {"note": "it is shown no more"}
        return {"note": "withdrawn, with all that hangs on it"}

    def _kept(self) -> list[Kept]:
        return self._parts.grants.all()

    def _one(self, grant_id: str) -> Kept:
        if len(grant_id) < PREFIX_DIGITS_MIN:
            raise BadRequest(f"an id has at least {PREFIX_DIGITS_MIN} hex digits")
        found = [kept for kept in self._kept() if kept.grant.id.hex().startswith(grant_id.lower())]
        if not found:
            raise NotKnown(f"no grant {grant_id[:64]} is known here", hint="akshi-node grant list")
        if len({kept.grant.id for kept in found}) > 1:
            raise BadRequest(f"several grants begin with {grant_id}: give more digits")
        return found[0]


def grant_info(kept: Kept) -> GrantInfo:
    """One grant as the API tells it."""
    grant, last = kept.grant, kept.grant.last
    return {
        "id": grant.id.hex(),
        "side": kept.side,
        "issuer": str(Did(grant.issuer)),
        "holder": str(Did(grant.holder)),
        "through": [str(Did(key)) for key in grant.keys[1:-1]],
        "allow": sorted(map(str, last.rights)),
        "caps": sorted(map(str, last.scope.caps)),
        "spend": str(last.scope.spend) if last.scope.spend else None,
        "until_ms": grant.until_ms,
        "state": kept.why_not or "in force",
        "text": str(grant),
    }
