"""An agent's configuration: wrong values cannot exist, and say which key is wrong."""

import pytest

from sandbox.agent_spec import AgentSpec, mount_name
from sandbox.errors import MalformedAgentSpec
from tests.sandbox.fakes import spec


def test_what_is_not_said_is_not_granted() -> None:
    plain = AgentSpec("reader", "reader.wasm")
    assert plain.capabilities == frozenset()
    assert plain.peers_allowed == plain.filesystem_allowed == ()
    assert (plain.memory_mb, plain.workers, plain.queue, plain.wall_clock_s) == (16, 1, 256, 30.0)
    assert not plain.share_originators


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(
            ("name", name)
            for name in (
                "",
                ".a",
                "-a",
                "route.x",
                "Rail.y",
                "a/b",
                "a b",
                "ä",
                "a" * 65,
                "..",
                "a\n",
            )
        ),
        *(("memory_mb", value) for value in (0, 65, -1)),
        *(("fuel", value) for value in (0, 2**63)),
        *(("wall_clock_s", value) for value in (0, float("nan"), float("inf"), 86_401)),
        *(("workers", value) for value in (0, 9)),
        *(("queue", value) for value in (-1, 4_097)),
        *(("max_restarts", value) for value in (-1, 1_001)),
        *(("restart_backoff_s", value) for value in (0, float("nan"), 3_601)),
        ("wasi", "full"),
        ("wasi", "empty"),
        ("peers_allowed", ("self/a",) * 257),
        ("filesystem_allowed", ("/a",) * 257),
        ("filesystem_allowed", ("shelf",)),
        ("filesystem_allowed", ("/a/../b",)),
        ("filesystem_allowed", ("/a\0",)),
        ("filesystem_allowed", ("/a/shelf", "/b/shelf")),
        ("filesystem_allowed", ("/proc/self",)),
        ("filesystem_allowed", ("/sys",)),
        ("filesystem_allowed", ("/dev/",)),
    ],
)
def test_a_wrong_value_names_its_key(key: str, value: object) -> None:
    with pytest.raises(MalformedAgentSpec) as malformed:
        spec(**{key: value})
    assert malformed.value.key.replace(".", "_") == key


def test_a_shelf_is_seen_under_its_last_name() -> None:
    assert mount_name("/srv/data/shelf/") == "shelf"
    assert mount_name("/") == "root"
    assert spec(filesystem_allowed=("/a/one", "/b/two", "/")).filesystem_allowed
