"""What SQL a guest may send, as plain lists and strict readers: whatever is not listed is refused.

Calls of a task are replayed after a crash and must then answer the same. So nothing is listed
that tells the time, draws lots, counts what other calls did or names a version of SQLite; and
nothing whose one step takes seconds, such as json_patch.
"""

import base64
import binascii
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox import guest_json
from sandbox.errors import ActFailed, MalformedJson, MalformedRequest
from sandbox.fault import FaultCode

SQL_BYTES_MAX = 64 * 1024
PARAMETERS_MAX = 250
PARAMETERS_CHARS_MAX = 1 << 20
VALUE_BYTES_MAX = 128 * 1024  # of one value or row: what one instr() chews on for 45 ms
ANSWER_BYTES_MAX = 1 << 20
COLUMNS_MAX = 100

HIDDEN_TABLE = "akshi_ended"  # one row for each task that ended and that node.db may not know of

Value = None | int | float | str | bytes

_INTEGER_MAX = 1 << 63

# Names as in SQLite's own list of functions. The last line is what ALTER TABLE calls inside;
# SQLite refuses these to everybody else.
# fmt: off
FUNCTIONS = frozenset({
    "->", "->>", "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "avg",
    "ceil", "ceiling", "char", "coalesce", "concat", "concat_ws", "cos", "cosh", "count",
    "cume_dist", "degrees", "dense_rank", "exp", "first_value", "floor", "format", "glob",
    "group_concat", "hex", "if", "ifnull", "iif", "instr", "json", "json_array",
    "json_array_insert", "json_array_length", "json_error_position", "json_extract",
    "json_group_array", "json_group_object", "json_insert", "json_object",
    "json_pretty", "json_quote", "json_remove", "json_replace", "json_set", "json_type",
    "json_valid", "lag", "last_value", "lead", "length", "like", "likelihood", "likely", "ln",
    "log", "log10", "log2", "lower", "ltrim", "max", "median", "min", "mod", "nth_value",
    "ntile", "nullif", "octet_length", "percent_rank", "percentile", "percentile_cont",
    "percentile_disc", "pi", "pow", "power", "printf", "quote", "radians", "rank", "replace",
    "round", "row_number", "rtrim", "sign", "sin", "sinh", "sqrt", "string_agg", "substr",
    "substring", "sum", "tan", "tanh", "total", "trim", "trunc", "typeof", "unhex", "unicode",
    "unistr", "unistr_quote", "unlikely", "upper", "zeroblob", "sqlite_rename_table",
    "sqlite_rename_column", "sqlite_rename_test", "sqlite_rename_quotefix",
    "sqlite_drop_column", "sqlite_drop_constraint", "sqlite_fail", "sqlite_add_constraint",
    "sqlite_find_constraint",
})
# fmt: on

# Tables that no one made: of these only the readers of JSON are open.
TABLE_FUNCTIONS = frozenset({"json_each", "json_tree"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement and what is bound to its question marks."""

    sql: str
    parameters: tuple[Value, ...]


def read_statement(sql: str, parameters: str) -> Statement:
    """Check what a guest sent; that it is one statement, and allowed, SQLite tells.

    Args:
        sql: at most SQL_BYTES_MAX bytes, no NUL.
        parameters: a JSON array of null, numbers, texts and `{"base64": "…"}`; or empty.

    Raises:
        MalformedRequest, MalformedJson: with the reason for the guest.
    """
    if len(sql.encode()) > SQL_BYTES_MAX:
        raise MalformedRequest("sql", why=f"sql over {SQL_BYTES_MAX} bytes")
    if "\0" in sql:
        raise MalformedRequest("sql", why="sql holds a NUL")
    if not sql.strip(" \t\r\n;"):
        raise MalformedRequest("sql", why="sql is empty")
    values = guest_json.read(parameters or "[]", chars_max=PARAMETERS_CHARS_MAX)
    if not isinstance(values, list) or len(values) > PARAMETERS_MAX:
        why = f"want a JSON array of at most {PARAMETERS_MAX} parameters"
        raise MalformedRequest("parameters", why=why)
    return Statement(sql, tuple(_value(number, value) for number, value in enumerate(values, 1)))


def _value(number: int, value: object) -> Value:
    match value:
        case bool():
            return int(value)
        case int() if -_INTEGER_MAX <= value < _INTEGER_MAX:
            return value
        case None | float() | str():
            return value
        case {"base64": str(text), **rest} if not rest:
            try:
                return base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError) as wrong:
                raise MalformedRequest("parameters", why=f"parameter {number}: {wrong}") from wrong
        case _:
            why = f'parameter {number}: want null, a number, text or {{"base64": "…"}}'
            raise MalformedRequest("parameters", why=why)


def json_row(row: Sequence[Value]) -> str:
    """One row of an answer, as compact JSON.

    Raises:
        ActFailed: an infinite number, or text that is no Unicode.
    """
    try:
        return guest_json.write([_shown(value) for value in row])
    except MalformedJson as malformed:
        raise ActFailed(FaultCode.INVALID, f"the answer holds {malformed.why}") from malformed


def _shown(value: Value) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ActFailed(FaultCode.INVALID, "the answer holds a number that is not finite")
    return value


def json_table(columns: Sequence[str], rows: Sequence[str]) -> str:
    """`"columns": […], "rows": […]`, to stand in an object; `rows` as `json_row` made them."""
    return f'"columns":{guest_json.write(list(columns))},"rows":[{",".join(rows)}]'
