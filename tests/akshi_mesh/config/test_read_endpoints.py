"""Where an agent may send requests, as its owner writes it."""

import pytest

from sandbox.endpoint import METHODS, EndpointRule
from tests.akshi_mesh.config.test_read import AGENT, read, wrong

GRANT = f"{AGENT}[agents.capabilities]\nhttp_fetch = true\n"


def rules(allowed: str) -> list[str]:
    (agent,) = read(f"{GRANT}[agents.endpoints]\nallowed = {allowed}\n").agents
    return [str(rule) for rule in agent.endpoints]


def problem(allowed: str) -> str:
    (line,) = wrong(f"{GRANT}[agents.endpoints]\nallowed = {allowed}\n")
    assert line.startswith("runtime.toml line 7: ")
    return line


def test_the_owners_own_list() -> None:
    """host-capabilities, "Endpoint allowlists", word for word."""
    assert rules('["api.example.com", "cdn.example.com"]') == ["api.example.com", "cdn.example.com"]


def test_nothing_written_allows_nothing() -> None:
    (agent,) = read(GRANT).agents
    assert agent.endpoints == ()
    assert rules("[]") == []


def test_a_text_may_say_it_all() -> None:
    assert rules('["private GET,POST http://db.local:8080/v1/"]') == [
        "private GET,POST http://db.local:8080/v1"
    ]


def test_a_table_says_the_same() -> None:
    (agent,) = read(
        f"""{GRANT}[[agents.endpoints.allowed]]
host = "http://db.local"
port = 8080
path = "/v1/"
methods = ["post", "GET"]
private = true
redirects = true

[[agents.endpoints.allowed]]
host = "*.example.com"
"""
    ).agents
    assert agent.endpoints == (
        EndpointRule("db.local", "http", 8080, "/v1", ("GET", "POST"), True, True),
        EndpointRule("*.example.com", "https", 443, "/", METHODS, False, False),
    )


def test_texts_and_tables_stand_in_one_list() -> None:
    assert rules('["a.example", {host = "b.example:444/x"}]') == ["a.example", "b.example:444/x"]


def test_a_table_may_name_a_secret() -> None:
    config = read(
        f"""{GRANT}[agents.endpoints]
allowed = [{{host = "api.example.com", path = "/v1", secret_env_var = "WEATHER_KEY"}}]
"""
    )
    (source,) = config.secrets
    assert (source.variable, source.binding.agent) == ("WEATHER_KEY", config.agents[0].name)
    assert source.binding.place == "https://api.example.com/v1"


@pytest.mark.parametrize(
    ("allowed", "why"),
    [
        ('"api.example.com"', "wants a list"),
        ("[1]", "where text belongs"),
        ('["http://127.1"]', "IP address"),
        ('["https://a@b.example"]', "user name"),
        ('["*"]', "no host"),
        ('["ftp://a.example"]', "http or https"),
        ("[{port = 80}]", "needs a 'host'"),
        ('[{host = "a.example", port = 0}]', "want a port"),
        ('[{host = "a.example", port = "80"}]', "whole number"),
        ('[{host = "a.example", path = "v1"}]', "%-encoding"),
        ('[{host = "a.example", path = "/../v1"}]', "segment"),
        ('[{host = "a.example/v1", path = "/v2"}]', "a path already"),
        ('[{host = "private a.example"}]', "a host alone"),
        ('[{host = "a.example", methods = []}]', "leave it out"),
        ('[{host = "a.example", methods = ["TRACE"]}]', "want methods"),
        ('[{host = "a.example", privat = true}]', "did you mean 'private'"),
        ('[{host = "a.example", domain = "b"}]', "write host"),
        ('[{host = "a.example", secret_env_var = ""}]', "environment variable"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_its_line(allowed: str, why: str) -> None:
    assert why in problem(allowed)


def test_no_more_than_can_be_walked() -> None:
    many = ", ".join(f'"h{number}.example"' for number in range(257))
    assert "more than 256" in problem(f"[{many}]")
