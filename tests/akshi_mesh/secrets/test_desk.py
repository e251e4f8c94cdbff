"""What the owner may do with secrets, and what is recorded of it."""

from pathlib import Path

import pytest

from akshi_mesh.api.errors import BadRequest
from akshi_mesh.secrets.errors import BoxFull, NoSuchSecret, SecretConflict
from sandbox.errors import AuditUnavailable, MalformedSecret
from sandbox.secrets import SecretBinding, SecretSource
from tests.akshi_mesh.secrets.world import OTHER, VALUE, World, new_home


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(new_home(tmp_path))


def set_without_endpoint(world: World, name: str = "token", **changed: str | None) -> None:
    options: dict[str, str | None] = {"header": None, "format": None, "agent": None, "key": None}
    world.desk.set(name, OTHER, endpoints=(), methods=(), **{**options, **changed})  # type: ignore[arg-type]


def test_a_list_shows_everything_but_the_value(world: World) -> None:
    world.set(methods=("get",), agent="reader", header="X-Key", format="{}")
    assert world.desk.listed() == [
        {
            "name": "token",
            "endpoint": "https://api.example.com/v1",
            "methods": ["GET"],
            "header": "X-Key",
            "format": "{}",
            "agent": "reader",
            "source": "box",
            "key": "file",
            "state": "ready",
            "why": "",
            "revoked": [],
            "set_ms": world.now_ms,
            "uses": 0,
            "last_used_ms": None,
        }
    ]


def test_every_change_is_recorded_before_it_is_made(world: World) -> None:
    world.set()
    world.desk.rotate("token", OTHER)
    world.desk.revoke("token", agent="reader", endpoint="https://api.example.com/v1")
    world.desk.restore("token", agent="reader", endpoint=None)
    world.desk.remove("token")
    assert [(r.code, r.agent, r.detail) for r in world.diary.records] == [
        ("set", "", "https://api.example.com/v1"),
        ("rotated", "", ""),
        ("revoked", "reader", "https://api.example.com/v1"),
        ("restored", "reader", "https://api.example.com/v1"),
        ("removed", "", ""),
    ]
    assert {r.fact("subject") for r in world.diary.records} == {"token"}


def test_what_cannot_be_recorded_is_not_changed(world: World) -> None:
    world.set()
    world.diary.is_full = True
    with pytest.raises(AuditUnavailable):
        world.set("other", OTHER, endpoint="https://other.example")
    with pytest.raises(AuditUnavailable):
        world.desk.rotate("token", OTHER)
    with pytest.raises(AuditUnavailable):
        world.desk.remove("token")
    assert World(world.home).vault.entry("token").value == VALUE
    assert list(World(world.home).vault.entries) == ["token"]


def test_a_revocation_that_cannot_be_recorded_holds_until_the_node_stops(world: World) -> None:
    world.set()
    world.diary.is_full = True
    with pytest.raises(AuditUnavailable):
        world.desk.revoke("token", agent=None, endpoint=None)
    assert world.desk.listed()[0]["state"] == "revoked"
    assert World(world.home, database=world.database).desk.listed()[0]["state"] == "ready"


def test_a_restoration_that_cannot_be_recorded_restores_nothing(world: World) -> None:
    world.set()
    world.desk.revoke("token", agent=None, endpoint=None)
    world.diary.is_full = True
    with pytest.raises(AuditUnavailable):
        world.desk.restore("token", agent=None, endpoint=None)
    assert world.desk.listed()[0]["state"] == "revoked"


def test_a_change_that_fails_after_its_record_is_recorded_as_failed(world: World) -> None:
    world.set()
    world.home.security.chmod(0o750)
    with pytest.raises(Exception, match="lets others in"):
        world.desk.rotate("token", OTHER)
    world.home.security.chmod(0o700)
    assert [(r.code, r.detail) for r in world.diary.records[1:]] == [
        ("rotated", ""),
        ("failed", "rotated"),
    ]
    assert world.vault.entry("token").value == VALUE


def test_set_again_replaces_value_and_places(world: World) -> None:
    world.set()
    world.set(value=OTHER, endpoint="https://other.example")
    (row,) = world.desk.listed()
    assert row["endpoint"] == "https://other.example"
    set_without_endpoint(world)
    assert world.desk.listed()[0]["endpoint"] == "https://other.example"


def test_one_name_may_have_many_places(world: World) -> None:
    world.desk.set(
        "token", VALUE, endpoints=["b.example", "a.example", "b.example"],
        methods=(), header=None, format=None, agent=None, key=None,
    )  # fmt: skip
    assert [r["endpoint"] for r in world.desk.listed()] == [
        "https://a.example",
        "https://b.example",
    ]
    with pytest.raises(BoxFull):
        world.desk.set(
            "many", VALUE, endpoints=[f"{n}.example" for n in range(17)],
            methods=(), header=None, format=None, agent=None, key=None,
        )  # fmt: skip


def test_set_without_an_endpoint_takes_the_place_the_configuration_names(tmp_path: Path) -> None:
    source = SecretSource(SecretBinding.parse("token", "api.example.com/v1", agent="reader"))
    world = World(new_home(tmp_path), sources=(source,))
    assert [(r["state"], r["source"]) for r in world.desk.listed()] == [("no value", "none")]
    set_without_endpoint(world)
    (row,) = world.desk.listed()
    assert (row["state"], row["source"], row["agent"]) == ("ready", "box", "reader")


def test_set_without_any_place_is_refused(world: World) -> None:
    with pytest.raises(BadRequest, match="needs an endpoint"):
        set_without_endpoint(world)
    for option in ("header", "format", "agent"):
        with pytest.raises(BadRequest, match="want an --endpoint"):
            set_without_endpoint(world, **{option: "X"})
    assert world.diary.records == []


def test_what_cannot_be_used_is_refused_before_anything_is_written(world: World) -> None:
    with pytest.raises(MalformedSecret):
        world.set(value="short")
    with pytest.raises(MalformedSecret):
        world.set(endpoint="https://*.example.com")
    with pytest.raises(BadRequest, match="--key wants"):
        world.desk.set(
            "token", VALUE, endpoints=["a.example"], methods=(), header=None, format=None,
            agent=None, key="tpm",
        )  # fmt: skip
    assert world.diary.records == []
    assert list(world.home.security.iterdir()) == []


def test_two_secrets_for_the_same_header_of_the_same_request_are_refused(world: World) -> None:
    world.set("one", methods=("GET",))
    with pytest.raises(SecretConflict, match="'one'"):
        world.set("two", OTHER, header="authorization")
    world.set("two", OTHER, methods=("POST",))
    world.set("three", OTHER, header="X-Key")
    world.set("four", OTHER, agent="reader")
    world.set("one", OTHER, methods=("GET", "PUT"))


def test_what_is_not_there_cannot_be_changed(world: World) -> None:
    with pytest.raises(NoSuchSecret):
        world.desk.rotate("token", VALUE)
    with pytest.raises(NoSuchSecret):
        world.desk.remove("token")
    with pytest.raises(NoSuchSecret):
        world.desk.revoke("token", agent=None, endpoint=None)
    world.set()
    with pytest.raises(BadRequest, match="does not go to"):
        world.desk.revoke("token", agent=None, endpoint="https://other.example")
    with pytest.raises(BadRequest, match="nothing like that"):
        world.desk.restore("token", agent=None, endpoint=None)


def test_who_is_revoked_where_is_shown(world: World) -> None:
    world.set()
    world.desk.revoke("token", agent="reader", endpoint=None)
    row = world.desk.listed()[0]
    assert (row["state"], row["revoked"]) == ("ready", ["reader"])
    world.desk.revoke("token", agent=None, endpoint="https://api.example.com/v1")
    row = world.desk.listed()[0]
    assert (row["state"], row["revoked"]) == ("revoked", ["*", "reader"])
    with pytest.raises(BadRequest):
        world.desk.restore("token", agent="writer", endpoint=None)
    world.desk.restore("token", agent=None, endpoint=None)
    assert world.desk.listed()[0]["revoked"] == []


def test_a_secret_of_one_agent_is_revoked_with_that_agent(world: World) -> None:
    world.set(agent="reader")
    world.desk.revoke("token", agent="writer", endpoint=None)
    assert world.desk.listed()[0]["state"] == "ready"
    world.desk.revoke("token", agent="reader", endpoint=None)
    assert world.desk.listed()[0]["state"] == "revoked"


def test_a_revoked_name_stays_revoked_when_it_is_set_again(world: World) -> None:
    world.set()
    world.desk.revoke("token", agent=None, endpoint=None)
    world.desk.remove("token")
    world.set()
    assert world.desk.listed()[0]["state"] == "revoked"
