"""`[risk]` and `[agents.rates]`: what is not understood is refused, and names its line."""

import pytest

from akshi_mesh.config.errors import ConfigError
from sandbox.capability import Capability
from sandbox.rate import Rate
from sandbox.risk import Tier
from tests.akshi_mesh.config.test_read import AGENT, read


def test_the_owners_lines_lie_over_the_shipped_ones() -> None:
    risks = read('[risk]\nhttp_fetch.headers.x-api-version = "low"\n').risks
    assert risks.judge("http_fetch.headers.x-api-version").tier is Tier.LOW
    assert risks.judge("http_fetch.headers.x-other").tier is Tier.HIGH
    assert risks.judge("spend.charge").tier is Tier.HIGH


def test_rates_are_by_capability() -> None:
    (agent,) = read(AGENT + '[agents.rates]\nhttp_fetch = "60/min"\n').agents
    assert agent.rates == {Capability.HTTP_FETCH: Rate(60, 60)}


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ('[risk]\nspend.charge = "none"\n', 2, 'want "low", "medium" or "high"'),
        ('[risk]\n"*" = "low"\n', 2, "hide what nobody judged"),
        ('[risk]\nspend = { tier = "low", wieght = 3 }\n', 2, "unknown key 'wieght'"),
        ('[risk]\nhtp_fetch.method.GET = "high"\n', 2, "want a capability first"),
        ('[risk]\n"htp_fetch.method.GET" = "high"\n', 2, "want a capability first"),
        ("risk = 3\n", 1, "wants a table"),
        (AGENT + '[agents.rates]\nhttp_fetch = "often"\n', 5, "such as 60/min"),
        (AGENT + "[agents.rates]\nhttp_fetch = 60\n", 5, "wants text"),
        (AGENT + '[agents.rates]\nhttp = "60/min"\n', 5, "unknown key 'http'"),
    ],
)
def test_what_means_nothing_is_refused_with_its_line(text: str, line: int, part: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(text)
    assert any(p.line == line and part in str(p) for p in refused.value.problems), refused.value


def test_a_rate_that_is_no_text_is_one_mistake() -> None:
    with pytest.raises(ConfigError) as refused:
        read(AGENT + "[agents.rates]\nhttp_fetch = 60\n")
    assert len(refused.value.problems) == 1
