"""What a guest may say to its database, before SQLite sees it; and how answers are written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import ActFailed, MalformedJson, MalformedRequest
from sandbox.sql import (
    FUNCTIONS,
    PARAMETERS_MAX,
    SQL_BYTES_MAX,
    Statement,
    json_row,
    json_table,
    read_statement,
)


@given(st.text(), st.text())
def test_any_texts_give_a_statement_or_a_reason(sql: str, parameters: str) -> None:
    try:
        read = read_statement(sql, parameters)
    except (MalformedRequest, MalformedJson):
        return
    assert read.sql == sql


def test_parameters_are_what_json_and_sqlite_have_in_common() -> None:
    text = '[null, true, -1, 1.5, "a", {"base64": "AAE="}]'
    assert read_statement("x", text) == Statement("x", (None, 1, -1, 1.5, "a", b"\0\1"))
    assert read_statement("x", "") == Statement("x", ())


@pytest.mark.parametrize(
    "parameters",
    [
        "{}",
        "1",
        "[[1]]",
        "[{}]",
        '[{"base64": 1}]',
        '[{"base64": "*"}]',
        '[{"base64": "AA==", "x": 1}]',
        "[9223372036854775808]",
        "[1" + ",1" * PARAMETERS_MAX + "]",
        "[NaN]",
        "[1e999]",
    ],
)
def test_other_parameters_are_refused(parameters: str) -> None:
    with pytest.raises((MalformedRequest, MalformedJson)):
        read_statement("select 1", parameters)


@pytest.mark.parametrize("sql", ["", " ;\n", "select '\0'", "x" * (SQL_BYTES_MAX + 1)])
def test_other_sql_is_refused(sql: str) -> None:
    with pytest.raises(MalformedRequest):
        read_statement(sql, "[]")


def test_a_row_is_told_in_json_or_not_at_all() -> None:
    assert json.loads(json_row((None, 1, 1.5, "ä", b"\0\1"))) == [
        None,
        1,
        1.5,
        "ä",
        {"base64": "AAE="},
    ]
    with pytest.raises(ActFailed, match="not finite"):
        json_row((float("inf"),))
    assert json_table(("a",), ["[1]", "[2]"]) == '"columns":["a"],"rows":[[1],[2]]'


def test_nothing_that_differs_from_run_to_run_is_listed() -> None:
    told = {"random", "randomblob", "date", "time", "datetime", "julianday", "strftime"}
    told |= {"unixepoch", "timediff", "current_date", "current_time", "current_timestamp"}
    told |= {"changes", "total_changes", "last_insert_rowid", "sqlite_version", "load_extension"}
    assert not told & FUNCTIONS
