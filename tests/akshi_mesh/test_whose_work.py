"""Whose work it is: everybody who narrows is asked anew, and nothing that travels widens."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from akshi_mesh.errors import GrantsFull
from akshi_mesh.grant_book import SCHEMA, SIDE_MAX, GrantBook
from akshi_mesh.revocations import SCHEMA as REVOCATIONS
from akshi_mesh.revocations import Revocations
from akshi_mesh.trust_book import TrustBook
from akshi_mesh.whose_work import WhoseWork
from identity import CapRight, Right, Scope, SigningKey, TrustStore
from identity.caps import NOTHING
from identity.files import create_node_key
from identity.grants import Grant, make_grant
from identity.keys import twin
from sandbox.bounds import Use, refusal
from sandbox.capability import Capability
from sandbox.ports import TaskRun
from sync.store.database import Database
from tests.strategies import key_of, scopes

ME, ANN, BEN, EVE = map(key_of, range(50, 54))
NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
FILES = Scope.of([CapRight.parse("filesystem")])
USE = Use(Capability.FILESYSTEM, "notes")


class World:
    """Trust, grants and a clock that the test turns."""

    def __init__(self, path: Path) -> None:
        create_node_key(path)
        self.now_ms = NOW_MS
        self.path = path
        self.database = Database.open(":memory:", schemas=SCHEMA)
        self.grants = GrantBook(self.database, me=ME.public_key, network="akshi")
        self.trust = TrustBook(path, now_ms=lambda: self.now_ms, grants=self.grants)
        self.work = WhoseWork(ME.did, self.trust)

    def give(self, key: SigningKey, scope: Scope, until_ms: int | None = None) -> None:
        store = self.trust.store.add(
            key.public_key, rights=[Right.parse("a2a:*")], caps=scope.caps, until_ms=until_ms
        )
        self.trust.replace(store)

    def why(self, originator: str, *chain: str, scope: Scope | None = None) -> str | None:
        run = TaskRun(bytes(32), "reader", originator, originator, chain, "{}", NOW_MS, scope)
        found = refusal(self.work.bounds(run), USE)
        return found and found[1]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home")


def granted(
    to: SigningKey = ANN, giver: SigningKey = ME, parent: Grant | None = None, hours: int = 1
) -> Grant:
    return make_grant(
        giver,
        to.public_key,
        rights=[Right.parse("a2a:reader")],
        scope=FILES,
        network="akshi",
        nonce=bytes(16),
        issued_ms=NOW_MS,
        until_ms=NOW_MS + hours * HOUR_MS,
        parent=parent,
    )


def test_the_owners_own_work_is_bounded_by_nothing_but_a_scope(world: World) -> None:
    me = str(ME.did)
    assert world.why(me) is None
    assert world.why(f"{me}/relay", f"{me}/relay") is None
    assert world.why(me, scope=NOTHING) == f"the task of {me} may not use filesystem here"


def test_a_node_has_what_it_was_given_and_the_refusal_names_the_remedy(world: World) -> None:
    ann = str(ANN.did)
    world.give(ANN, NOTHING)
    why = f"{ann} may not use filesystem here; akshi-node trust add {ann} --cap filesystem"
    assert world.why(ann) == why
    world.give(ANN, FILES)
    assert world.why(ann) is None
    assert world.why(f"{ann}/relay", f"{ann}/relay") is None


def test_trust_that_is_taken_back_or_ends_counts_at_the_next_call(world: World) -> None:
    ann = str(ANN.did)
    world.give(ANN, FILES, until_ms=NOW_MS + 10)
    assert world.why(ann) is None
    world.now_ms += 10
    assert "is not trusted here any more" in (world.why(ann) or "")
    world.now_ms -= 10  # a clock set back revives nobody
    assert "is not trusted here any more" in (world.why(ann) or "")
    world.give(BEN, FILES)
    world.trust.replace(world.trust.store.remove(BEN.public_key))
    assert "is not trusted here any more" in (world.why(str(BEN.did)) or "")
    world.give(EVE, FILES)
    world.trust.revoke(EVE.public_key)
    assert "is not trusted here any more" in (world.why(str(EVE.did)) or "")


def test_each_hop_that_is_on_file_narrows(world: World) -> None:
    ann, ben = str(ANN.did), str(BEN.did)
    world.give(BEN, FILES)
    chain = (ann, f"{ben}/relay")
    assert world.why(f"{ben}/relay", *chain) is None, "of ann, ben says what she may"
    world.give(ANN, NOTHING)
    assert (world.why(f"{ben}/relay", *chain) or "").startswith(ann)
    world.trust.revoke(ANN.public_key)
    assert "is not trusted here any more" in (world.why(f"{ben}/relay", *chain) or "")


def test_a_scope_in_the_task_narrows_and_says_where_it_was_set(world: World) -> None:
    ann, ben = str(ANN.did), str(BEN.did)
    world.give(BEN, FILES)
    why = world.why(f"{ben}/relay", ann, f"{ben}/relay", scope=NOTHING) or ""
    assert why.startswith(f"the task of {ann} may not use filesystem here; on {ben}/relay"[:60])
    assert f"akshi-node trust add {ann} --cap filesystem" in why


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(scopes, scopes, st.booleans())
def test_what_is_sent_on_is_within_all_that_the_sender_had(
    world: World, mine: Scope, given_on: Scope, has_scope: bool
) -> None:
    world.trust.replace(TrustStore())
    world.give(ANN, mine)
    task = given_on.as_said_by(str(ANN.did)) if has_scope else None
    sent = world.work.scope_of(str(ANN.did), (str(ANN.did),), task)
    assert sent is not None
    assert mine.as_said_by(str(ME.did)).covers(sent)
    assert task is None or task.covers(sent)
    assert all(cap.is_absolute for cap in sent.caps)
    assert world.work.scope_of(str(ME.did), (), None) is None
    assert world.work.scope_of(str(EVE.did), (str(EVE.did),), None) == NOTHING


# --- grants ---------------------------------------------------------------------------------------


def test_a_grant_counts_until_it_ends_and_never_again(world: World) -> None:
    ann = str(ANN.did)
    world.grants.keep("shown", granted())
    assert world.why(ann) is None
    assert world.trust.covers(ANN.public_key, "a2a", "reader")
    assert not world.trust.covers(ANN.public_key, "a2a", "scribe")
    world.now_ms += HOUR_MS
    assert world.trust.is_out(ANN.public_key)
    world.now_ms -= HOUR_MS
    assert world.trust.is_out(ANN.public_key)
    assert [grant.holder for grant in world.grants.shown_out(world.trust.store, NOW_MS + HOUR_MS)]


def test_trust_and_a_grant_add_up(world: World) -> None:
    world.give(ANN, NOTHING)
    assert world.why(str(ANN.did))
    world.grants.keep("shown", granted())
    assert world.why(str(ANN.did)) is None


def test_a_middle_link_that_is_withdrawn_revoked_or_out_takes_all_along(world: World) -> None:
    root = granted()
    chain = granted(BEN, ANN, root)
    store = world.trust.store
    for end in (
        lambda: world.grants.withdraw([root.id], root.until_ms),
        lambda: world.trust.revoke(ANN.public_key),
        lambda: world.trust.revoke(twin(ANN.public_key)),
        lambda: world.give(ANN, NOTHING, until_ms=NOW_MS),
        lambda: world.grants.withdraw_key(ANN.public_key),
    ):
        world.grants.keep("given", root)
        world.grants.keep("shown", chain)
        assert world.why(str(BEN.did)) is None
        end()
        assert world.trust.is_out(BEN.public_key)
        assert world.why(str(BEN.did))
        world.trust.replace(store)
        world.grants._withdrawn.clear()


def test_what_is_kept_and_withdrawn_survives_a_restart(world: World) -> None:
    root = granted()
    world.grants.keep("given", root)
    world.grants.keep("shown", granted(BEN, ANN, root))
    again = GrantBook(world.database, me=ME.public_key, network="akshi")
    again.load(NOW_MS)
    assert again.of(BEN.public_key, TrustStore(), NOW_MS) is not None
    assert again.withdraw_key(ANN.public_key)
    third = GrantBook(world.database, me=ME.public_key, network="akshi")
    third.load(NOW_MS)
    assert third.of(BEN.public_key, TrustStore(), NOW_MS) is None
    late = GrantBook(world.database, me=ME.public_key, network="akshi")
    late.load(NOW_MS + HOUR_MS)
    assert late.all(TrustStore(), NOW_MS) == []


def test_grants_have_a_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SIDE_MAX == 1_024
    monkeypatch.setattr("akshi_mesh.grant_book.SIDE_MAX", 1)
    world.grants.keep("shown", granted())
    world.grants.keep("shown", granted(hours=2))  # the same holder: the later one
    with pytest.raises(GrantsFull):
        world.grants.keep("shown", granted(BEN))


def test_a_revocation_of_who_is_known_by_a_grant_only_is_believed(world: World) -> None:
    database = Database.open(":memory:", schemas=[REVOCATIONS])
    revocations = Revocations(database, world.trust, linked=set, is_author=lambda _key: False)
    root = granted()
    assert not revocations.take(ANN.public_key, b"proof", lambda *_: True)
    world.grants.keep("shown", granted(BEN, ANN, root))
    assert world.why(str(BEN.did)) is None
    assert revocations.take(ANN.public_key, b"proof", lambda *_: True)
    assert world.trust.is_out(BEN.public_key)
