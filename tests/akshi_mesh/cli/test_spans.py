"""Times as people type them, and nothing that only looks like one."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.cli.spans import SPAN_S_MAX, MalformedTime, span_s, until_ms

NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1.5m", 90), ("1h30m", 5_400), ("7d", 604_800), ("2w", 1_209_600)],
)
def test_spans(text: str, seconds: float) -> None:
    assert span_s(text) == seconds
    assert until_ms(text, now_ms=NOW_MS) == NOW_MS + seconds * 1000


def test_a_day_ends_when_it_is_over() -> None:
    midnight = datetime.datetime(2027, 2, 1).timestamp() * 1000
    assert until_ms("2027-01-31", now_ms=NOW_MS) == midnight
    point = datetime.datetime(2027, 1, 31, 18, tzinfo=datetime.UTC).timestamp() * 1000
    assert until_ms("2027-01-31T18:00Z", now_ms=NOW_MS) == point
    assert until_ms("2027-01-31T20:00+02:00", now_ms=NOW_MS) == point


@pytest.mark.parametrize(
    "text", ["", "7", "d", "-7d", "0s", "7d ", "7 d", "1e3s", "now", "2020-01-01", "9999-12-31"]
)
def test_what_is_no_time_to_come_is_refused(text: str) -> None:
    with pytest.raises(MalformedTime):
        until_ms(text, now_ms=NOW_MS)


@given(st.one_of(st.text(max_size=30), st.from_regex(r"[0-9]{1,12}[wdhms.:TZ+-]{0,3}")))
def test_any_text_is_a_time_to_come_or_malformed(text: str) -> None:
    try:
        found = until_ms(text, now_ms=NOW_MS)
    except MalformedTime:
        return
    assert NOW_MS <= found <= NOW_MS + SPAN_S_MAX * 1000
