"""What the owner wrote is understood whole, or refused with the line that is wrong."""

import tomllib
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from akshi_mesh.config.errors import ConfigError
from akshi_mesh.config.model import Config, MeshConfig
from akshi_mesh.config.read import CONFIG_CHARS_MAX, read_config
from akshi_mesh.transport.address import Address
from sandbox.capability import Capability

DID = "did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b"
AGENT = '[[agents]]\nname = "reader"\nwasm_path = "reader.wasm"\n'


class Beside:
    """A disk on which every path exists, but for those that hold `missing`."""

    def place(self, written: str) -> str:
        return written if written.startswith("/") else f"/base/{written}"

    def is_file(self, path: str) -> bool:
        return "missing" not in path

    def is_directory(self, path: str) -> bool:
        return "missing" not in path


def read(text: str) -> Config:
    return read_config(text, file="runtime.toml", files=Beside())


def wrong(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_the_owners_own_example_is_a_configuration() -> None:
    """host-capabilities, "Declaring capabilities", word for word."""
    config = read(
        """
[[agents]]
name = "researcher"
wasm_path = "researcher.wasm"

[agents.capabilities]
inference = true
journal = true
http_fetch = true
database = true
a2a = true
mcp = true
"""
    )
    (agent,) = config.agents
    assert agent.name == "researcher"
    assert agent.wasm_path == "/base/researcher.wasm"
    assert agent.capabilities == frozenset(Capability) - {
        Capability.FILESYSTEM,
        Capability.SPEND,
    }
    assert agent.peers_allowed == ()


def test_nothing_written_is_nothing_granted() -> None:
    (agent,) = read(AGENT).agents
    assert agent.capabilities == frozenset()
    assert replace(read(""), notes=()) == Config()


def test_all_that_this_release_knows_at_once() -> None:
    config = read(
        f"""
[mesh]
listen = "0.0.0.0:4821"
network = "home"
peers = ["{DID}@10.0.0.2:4820", "{DID}@10.0.0.2:4820"]
durability = "power"
[sandbox]
minimum = "process"
[telemetry]
log_level = "debug"
log_format = "json"
[[journals]]
name = "answers"
scope = "mesh"
{AGENT}
wasi = "none"
share_originators = true
max_restarts = 3
restart_backoff_secs = 1
[agents.capabilities]
a2a = true
filesystem = true
[agents.peers]
allowed = ["self/*", "bob/read*", "{DID}/x"]
[agents.filesystem]
allowed = ["/srv/shelf"]
[agents.limits]
memory_mb = 64
fuel = 1000
wall_clock_s = 2.5
workers = 2
queue = 8
"""
    )
    assert config.notes == ()
    assert config.mesh.listen == Address("0.0.0.0", 4821)
    assert [str(peer) for peer in config.mesh.peers] == [f"{DID}@10.0.0.2:4820"]
    assert (config.mesh.network, config.mesh.durability) == ("home", "power")
    assert config.sandbox.minimum == "process"
    assert (config.telemetry.log_level, config.telemetry.log_format) == ("debug", "json")
    assert [(journal.name, journal.scope) for journal in config.journals] == [("answers", "mesh")]
    (agent,) = config.agents
    assert agent.peers_allowed == ("self/*", "bob/read*", f"{DID}/x")
    assert agent.filesystem_allowed == ("/srv/shelf",)
    assert (agent.memory_mb, agent.fuel, agent.wall_clock_s) == (64, 1000, 2.5)
    assert (agent.workers, agent.queue, agent.max_restarts) == (2, 8, 3)
    assert (agent.restart_backoff_s, agent.wasi, agent.share_originators) == (1.0, "none", True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            AGENT + "[agents.capabilities]\njournal = true\na2a = false\nhttp_fecth = true\n",
            "runtime.toml line 7: unknown key 'http_fecth' (did you mean 'http_fetch'?)",
        ),
        ("\nfoo = 1\n", "runtime.toml line 2: unknown key 'foo'"),
        (
            AGENT + '[agents.capabilities]\na2a = "yes"\n',
            "runtime.toml line 5: 'a2a' wants true or false, not text 'yes'",
        ),
        (
            '[mesh]\npeers = [\n  "nobody",\n]\n',
            "runtime.toml line 2: 'peers' wants did:key:…[@HOST:PORT]: "
            "address 'nobody': want did:key:z…",
        ),
        (
            "[mesh]\npeers = [\n  1,\n]\n",
            "runtime.toml line 3: 'peers' holds the whole number 1 where text belongs",
        ),
        (
            "[mesh]\nlisten_addr = '0.0.0.0:4820'\n",
            "runtime.toml line 2: 'listen_addr' is not a key here; write listen = \"HOST:PORT\"",
        ),
        (AGENT + AGENT, "runtime.toml line 5: agent 'reader' is there twice"),
        (
            AGENT + AGENT.replace("reader", "Reader", 1),
            "runtime.toml line 5: agent 'Reader' is there twice",
        ),
        ("[[agents]]\nname = 'a'\n", "runtime.toml line 1: an agent needs a 'wasm_path'"),
        ("[[agents]]\nwasm_path = 'a'\n", "runtime.toml line 1: an agent needs a 'name'"),
        (
            AGENT + "[agents.limits]\nmemory_mb = 65\n",
            "runtime.toml line 5: limits.memory_mb: want 1 to 64, not 65",
        ),
        (
            AGENT + "[agents.limits]\nwall_clock_s = nan\n",
            "runtime.toml line 5: limits.wall_clock_s: want 0.001 to 86400.0, not nan",
        ),
        (
            '[[agents]]\nname = "a"\nwasm_path = "missing.wasm"\n',
            "runtime.toml line 3: no file /base/missing.wasm",
        ),
        ("a = \n", "runtime.toml line 1: not toml: invalid value"),
        ("a = 1\nb = [", "runtime.toml line 2: not toml: the text ends too early"),
        ("agents = 1", "runtime.toml line 1: 'agents' wants tables [[agents]], "
         "not the whole number 1"),
        ("mesh = 1", "runtime.toml line 1: 'mesh' wants a table [mesh], not the whole number 1"),
        ("a = " + "[" * 5000, "runtime.toml line 1: nested too deeply"),
        ("[mesh]\nnetwork = ''", "runtime.toml line 2: 'network' wants 1 to 64 printable "
         "characters"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(text: str, message: str) -> None:
    assert wrong(text) == [message]


def test_all_mistakes_are_named_at_once_and_in_order() -> None:
    text = "[mesh]\nlisten = 'x'\n[telemetry]\nlog_level = 'loud'\n[sandbox]\nminimum = true\n"
    assert [line.split(":")[0] for line in wrong(text)] == [
        "runtime.toml line 2",
        "runtime.toml line 4",
        "runtime.toml line 6",
    ]


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("[dashboard]\nport = 3210", 1, "[dashboard] is not in this release"),
        (AGENT + "[agents.spend]\ndaily_budget_usd = 1.0", 4, "'spend' and 'inference' are off"),
        ("[telemetry]\notel_endpoint = 'x'", 2, "'otel_endpoint' is not in this release"),
        (AGENT + "[agents.capabilities]\nspend = true", 5, "no budget allows nothing"),
        (AGENT + "[agents.capabilities]\na2a = true", 5, "an empty allowlist blocks all"),
        (AGENT + "[agents.peers]\nallowed = ['self/x']", 4, "has no effect: 'a2a' is off"),
        (AGENT + "[agents.approval]\na2a = true", 5, "no approval is needed: 'a2a' is off"),
        (
            AGENT
            + "[agents.capabilities]\nfilesystem = true\n[agents.filesystem]\nallowed=['missing']",
            7,
            "no directory /base/missing",
        ),
    ],
)
def test_what_has_no_effect_is_said(text: str, line: int, part: str) -> None:
    notes = read(text).notes
    assert [note.line for note in notes if part in note.text] == [line]


def test_what_was_typed_wins_over_what_was_written() -> None:
    written = read(f'[mesh]\nlisten = "127.0.0.1:1"\npeers = ["{DID}"]')
    typed = written.with_command_line(listen="127.0.0.1:2", peers=(DID, f"{DID}@h:3"))
    assert typed.mesh.listen == Address("127.0.0.1", 2)
    assert [str(peer) for peer in typed.mesh.peers] == [DID, f"{DID}@h:3"]
    assert written.with_command_line(listen=None, peers=()) == written
    assert written.with_command_line(listen="off", peers=()).mesh.listen is None
    assert MeshConfig().listen == Address("127.0.0.1", 4820)


def test_a_text_that_is_too_long_is_not_even_parsed() -> None:
    assert "longer than" in wrong("#" * (CONFIG_CHARS_MAX + 1))[0]


bare = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
KNOWN = (
    "agents name wasm_path capabilities a2a journal peers allowed limits memory_mb fuel mesh "
    "listen network sandbox minimum journals scope telemetry log_level approval filesystem "
    "wall_clock_s workers spend mcp_servers dashboard runtime"
)
VALUES = [
    *("true", "false", "1", "-3", "1.5", "nan", "inf", '"x"', '"a.wasm"', "'self/*'", '"mesh"'),
    *('"jail"', "1979-05-27", "07:32:00", '"""a\nb"""', '"\\u0000"', "[]", "{}", "9" * 30),
    *('["self/x"]', "[1, 2]", '{ name = "x" }', f'"{DID}"', '"127.0.0.1:1"'),
]
keys = st.one_of(bare, st.sampled_from(KNOWN.split()))
scalars = st.one_of(st.sampled_from(VALUES), bare.map(lambda text: f'"{text}"'))
dotted = st.lists(keys, min_size=1, max_size=3).map(".".join)
statements = st.one_of(
    st.builds("{} = {}".format, dotted, scalars),
    dotted.map("[{}]".format),
    dotted.map("[[{}]]".format),
    st.sampled_from(["[[agents]]", "[agents.capabilities]", "[mesh]", "# note", ""]),
)
texts = st.one_of(st.text(max_size=60), st.lists(statements, max_size=12).map("\n".join))


@given(texts)
@example("a = " + "9" * 5000)
@example("a.b = 1\n[a]\nb.c = 2")
@example('"" = 1')
def test_any_text_is_a_configuration_or_an_error_with_a_line(text: str) -> None:
    """Whatever the file holds: a `Config`, or a `ConfigError` that says where, nothing else."""
    try:
        read(text)
    except ConfigError as caught:
        error = caught
    else:
        return
    assert error.line is not None
    assert 1 <= error.line <= text.count("\n") + 1
    assert "\n" not in str(error)


@given(texts)
def test_every_key_of_a_valid_file_has_a_line(text: str) -> None:
    """The scan and tomllib see the same keys."""
    from akshi_mesh.config.lines import KeyPath, key_lines

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return

    def paths(value: object, at: KeyPath) -> set[KeyPath]:
        found = {at}
        if isinstance(value, dict):
            for key, item in value.items():
                found |= paths(item, (*at, key))
        if isinstance(value, list):
            for number, item in enumerate(value):
                found |= paths(item, (*at, number))
        return found

    assert set(key_lines(text)) == paths(values, ()) - {()}
