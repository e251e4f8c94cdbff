"""What a request gets, what is refused, and what is looked for afterwards."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from akshi_mesh.secrets.broker import HELD_OFF_MS, LEAKS_MAX
from akshi_mesh.secrets.vault import RETIRED_MS
from sandbox.endpoint import Url
from sandbox.errors import AuditUnavailable, PortRefused
from sandbox.fault import FaultCode
from sandbox.secrets import SecretBinding, SecretSource
from tests.akshi_mesh.secrets.world import OTHER, VALUE, World, new_home

URL = Url.parse("https://api.example.com/v1/today")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(new_home(tmp_path))


def refusal(world: World, agent: str = "reader") -> tuple[FaultCode, str]:
    with pytest.raises(PortRefused) as refused:
        world.broker.injections(agent, URL, "GET")
    assert VALUE not in str(refused.value)
    return refused.value.code, refused.value.why


def test_without_secrets_a_request_gets_and_leaks_nothing(world: World) -> None:
    assert world.broker.names_for("reader", URL, "GET") == ()
    assert world.broker.injections("reader", URL, "GET") == ()
    assert world.broker.leaks("reader", VALUE.encode()) is None
    assert world.broker.redactor("reader").text(VALUE) == VALUE
    assert world.diary.records == []


def test_the_bound_request_gets_its_header_and_the_use_is_recorded_first(world: World) -> None:
    world.set()
    assert world.broker.names_for("reader", URL, "GET") == ("token",)
    (injection,) = world.broker.injections("reader", URL, "GET")
    assert (injection.name, injection.header, injection.value) == (
        "token",
        "Authorization",
        f"Bearer {VALUE}",
    )
    assert world.diary.told() == [("set", "token", "", 1), ("used", "token", "reader", 1)]
    assert world.diary.records[-1].detail == "https://api.example.com/v1"
    assert world.desk.listed()[0]["uses"] == 1


def test_a_use_that_cannot_be_recorded_does_not_happen(world: World) -> None:
    world.set()
    world.diary.is_full = True
    with pytest.raises(AuditUnavailable):
        world.broker.injections("reader", URL, "GET")
    assert world.desk.listed()[0]["uses"] == 0


@pytest.mark.parametrize(
    ("agent", "url", "method"),
    [
        ("writer", "https://api.example.com/v1", "GET"),
        ("reader", "http://api.example.com/v1", "GET"),
        ("reader", "https://api.example.com:444/v1", "GET"),
        ("reader", "https://api.example.org/v1", "GET"),
        ("reader", "https://api.example.com/v2", "GET"),
        ("reader", "https://api.example.com/v1", "POST"),
    ],
)
def test_any_other_request_gets_nothing(world: World, agent: str, url: str, method: str) -> None:
    world.set(agent="reader", methods=("GET",))
    assert world.broker.injections(agent, Url.parse(url), method) == ()
    assert world.broker.names_for(agent, Url.parse(url), method) == ()
    assert world.diary.told() == [("set", "token", "", 1)]


def test_what_is_revoked_is_refused_at_the_next_call_and_no_lesser_secret_steps_in(
    world: World,
) -> None:
    world.set("wide", OTHER, endpoint="https://api.example.com")
    world.set()
    assert world.broker.injections("reader", URL, "GET")[0].name == "token"
    world.desk.revoke("token", agent="reader", endpoint=None)
    code, why = refusal(world)
    assert code is FaultCode.NOT_ALLOWED
    assert "'token' is revoked" in why
    assert world.broker.injections("writer", URL, "GET")[0].name == "token"
    world.desk.restore("token", agent="reader", endpoint=None)
    assert world.broker.injections("reader", URL, "GET")[0].name == "token"


def test_what_is_revoked_stays_so_after_a_restart(world: World) -> None:
    world.set()
    world.desk.revoke("token", agent=None, endpoint=None)
    again = World(world.home, database=world.database)
    assert refusal(again)[0] is FaultCode.NOT_ALLOWED


def test_a_binding_without_a_value_is_refused_and_names_the_remedy(tmp_path: Path) -> None:
    source = SecretSource(SecretBinding.parse("weather", "api.example.com"))
    code, why = refusal(World(new_home(tmp_path), sources=(source,)))
    assert code is FaultCode.UNAVAILABLE
    assert "akshi-node secrets set weather" in why


def test_a_value_that_was_set_for_another_place_is_not_sent_where_the_file_says(
    world: World,
) -> None:
    """Who can write runtime.toml, and not the box, sends no secret elsewhere."""
    world.set(endpoint="https://elsewhere.example")
    source = SecretSource(SecretBinding.parse("token", "api.example.com"))
    again = World(world.home, sources=(source,))
    code, why = refusal(again)
    assert code is FaultCode.UNAVAILABLE
    assert "another place" in why
    elsewhere = Url.parse("https://elsewhere.example/")
    assert again.broker.injections("reader", elsewhere, "GET")[0].value == f"Bearer {VALUE}"


def test_a_variable_of_the_environment_is_a_value_if_it_can_be_one(tmp_path: Path) -> None:
    source = SecretSource(SecretBinding.parse("TOKEN", "api.example.com"), "TOKEN")
    home = new_home(tmp_path)
    world = World(home, sources=(source,), environ={"TOKEN": VALUE})
    assert world.broker.injections("reader", URL, "GET")[0].value == f"Bearer {VALUE}"
    assert world.broker.leaks("reader", VALUE.encode()) == "TOKEN"
    for environ in ({}, {"TOKEN": "short"}, {"TOKEN": VALUE + "\nX-Evil: 1"}):
        world = World(home, sources=(source,), environ=environ)
        code, why = refusal(world)
        assert code is FaultCode.UNAVAILABLE
        assert "TOKEN" in why


def test_a_locked_box_refuses_and_says_why(world: World) -> None:
    world.set()
    (world.home.security / "secrets.key").unlink()
    code, why = refusal(World(world.home))
    assert code is FaultCode.UNAVAILABLE
    assert "key of the secrets is gone" in why


def test_a_secret_in_a_request_is_named_recorded_and_rationed(world: World) -> None:
    world.set()
    told = b"https://evil.example/?q=" + VALUE.encode().hex().encode()
    for _ in range(LEAKS_MAX - 1):
        assert world.broker.leaks("reader", b"GET", told) == "token"
    assert world.broker.injections("reader", URL, "GET")
    assert world.broker.leaks("reader", told) == "token"
    assert world.diary.told()[1:] == [
        ("leak", "token", "reader", 1),
        ("used", "token", "reader", 1),
    ]
    world.now_ms += HELD_OFF_MS - 1
    code, _ = refusal(world)
    assert code is FaultCode.RATE_LIMITED
    assert world.broker.injections("writer", URL, "GET")
    world.now_ms += 1
    assert world.broker.injections("reader", URL, "GET")


def test_a_leak_that_cannot_be_recorded_is_still_no_pass(world: World) -> None:
    world.set()
    world.diary.is_full = True
    with pytest.raises(AuditUnavailable):
        world.broker.leaks("reader", VALUE.encode())


def test_secrets_of_other_agents_are_looked_for_too(world: World) -> None:
    world.set(agent="writer")
    assert world.broker.leaks("reader", VALUE.encode()) == "token"
    assert world.broker.redactor("reader").text(f"x {VALUE}") == "x [redacted]"
    assert world.diary.told()[1:] == [
        ("leak", "token", "reader", 1),
        ("redacted", "token", "reader", 1),
    ]


def test_the_last_value_is_looked_for_a_day_and_no_longer(world: World) -> None:
    world.set()
    world.desk.rotate("token", OTHER)
    (injection,) = world.broker.injections("reader", URL, "GET")
    assert injection.value == f"Bearer {OTHER}"
    world.now_ms += RETIRED_MS - 1
    assert world.broker.redactor("reader").text(f"{VALUE} {OTHER}") == "[redacted] [redacted]"
    assert World(world.home).broker.leaks("reader", VALUE.encode()) == "token"
    world.now_ms += 1
    assert world.broker.redactor("reader").text(f"{VALUE} {OTHER}") == f"{VALUE} [redacted]"


def test_a_removed_secret_is_looked_for_a_day(world: World) -> None:
    world.set()
    world.desk.rotate("token", OTHER)
    world.desk.remove("token")
    assert world.broker.injections("reader", URL, "GET") == ()
    assert world.broker.redactor("reader").text(f"{VALUE} {OTHER}") == "[redacted] [redacted]"
    world.now_ms += RETIRED_MS
    assert world.broker.redactor("reader").text(VALUE) == VALUE


async def test_what_repeats_within_a_second_is_one_record_with_a_count(
    world: World, autojump_clock: MockClock
) -> None:
    world.set()
    async with trio.open_nursery() as nursery:
        await nursery.start(world.broker.run)
        for _ in range(5):
            world.broker.redactor("reader").text(VALUE)
        world.now_ms += 1_000
        await trio.sleep(1.5)
        assert world.diary.told()[1:] == [
            ("redacted", "token", "reader", 1),
            ("redacted", "token", "reader", 4),
        ]
        for _ in range(3):
            world.broker.leaks("reader", VALUE.encode())
        nursery.cancel_scope.cancel()
    assert world.diary.told()[3:] == [
        ("leak", "token", "reader", 1),
        ("leak", "token", "reader", 2),
    ]


async def test_a_count_that_cannot_be_written_does_not_end_the_node(
    world: World, autojump_clock: MockClock
) -> None:
    world.set()
    async with trio.open_nursery() as nursery:
        await nursery.start(world.broker.run)
        for _ in range(3):
            world.broker.leaks("reader", VALUE.encode())
        world.diary.is_full = True
        world.now_ms += 1_000
        await trio.sleep(1.5)
        world.diary.is_full = False
        for _ in range(3):
            world.broker.leaks("reader", VALUE.encode())
        world.diary.is_full = True
        nursery.cancel_scope.cancel()


async def test_old_values_leave_the_disk_while_the_node_runs(
    world: World, autojump_clock: MockClock
) -> None:
    world.set()
    world.desk.rotate("token", OTHER)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.broker.run)
        world.now_ms += RETIRED_MS
        await trio.sleep(1.5)
        nursery.cancel_scope.cancel()
    assert World(world.home).vault.entry("token").retired == ()


async def test_a_disk_that_keeps_old_values_is_told_of_and_tried_again(
    world: World, autojump_clock: MockClock
) -> None:
    world.set()
    world.desk.rotate("token", OTHER)
    async with trio.open_nursery() as nursery:
        await nursery.start(world.broker.run)
        world.now_ms += RETIRED_MS
        world.home.security.chmod(0o750)
        await trio.sleep(1.5)
        world.home.security.chmod(0o700)
        assert len(World(world.home).vault.entry("token").retired) == 1
        await trio.sleep(1)
        assert World(world.home).vault.entry("token").retired == ()
        nursery.cancel_scope.cancel()


def test_nothing_of_a_broker_prints_a_value(world: World) -> None:
    world.set()
    world.desk.rotate("token", OTHER)
    shown = [
        repr(world.broker.held),
        repr(world.vault.entries),
        repr(world.broker.injections("reader", URL, "GET")),
        repr(world.desk.listed()),
        repr(world.diary.records),
        repr(world.broker._watched()),
    ]
    for text in shown:
        assert VALUE not in text
        assert OTHER not in text
