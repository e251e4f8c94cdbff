"""JSON that came from a guest: read strictly, written in one form.

A key that occurs twice, NaN, a number beyond 64 bits, text that is not Unicode or
nesting beyond 32 is refused, so that no two readers of one text can disagree.
"""

import json
import math
import re
from typing import Any, NoReturn

from sandbox.errors import MalformedJson

DEPTH_MAX = 32  # of what guests send; A2A messages need 5
PARTS_MAX = 64  # of one message
IDS_MAX = 256  # tasks to wait for at once
PARTS_BYTES_MAX = 48 * 1024  # so that the envelope around it stays below 60 KiB

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")
_CONTENT = frozenset({"text", "raw", "url", "data"})
_TEXT_KEYS = frozenset({"text", "raw", "url", "filename", "mediaType"})
_PART_KEYS = _CONTENT | _TEXT_KEYS | {"metadata"}


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise MalformedJson("a key occurs twice")
    return table


def _constant(name: str) -> NoReturn:
    raise MalformedJson(f"{name} is no JSON")


def _integer(digits: str) -> int:
    # Twenty characters hold every 64-bit number; int() of a megabyte of digits takes seconds.
    if len(digits) > 20:
        raise MalformedJson("a number beyond 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise MalformedJson("a number that is not finite")
    return number


# Made once: `json.loads` and `json.dumps` with options make one for each text.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_integer, parse_float=_finite
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def read(text: str, *, chars_max: int = PARTS_BYTES_MAX) -> Any:
    """The value of `text`.

    Raises:
        MalformedJson: anything that is not strict JSON, or longer than `chars_max`.
    """
    if len(text) > chars_max:
        raise MalformedJson(f"JSON over {chars_max} characters")
    if _is_deep(text):
        raise MalformedJson(f"nested deeper than {DEPTH_MAX}")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as failure:
        raise MalformedJson(f"not JSON at character {failure.pos}") from failure
    if "\\u" in text:
        write(value)  # an escape may have written half of a surrogate pair
    return value


def write(value: object) -> str:
    """The one compact form of `value`.

    Raises:
        MalformedJson: text in it is no Unicode, or a number is infinite.
    """
    try:
        text = _ENCODER.encode(value)
        text.encode()
    except ValueError as failure:  # UnicodeEncodeError is one
        raise MalformedJson("text that is no unicode, or a number that is not finite") from failure
    return text


def _is_deep(text: str) -> bool:
    """Whether brackets nest deeper than DEPTH_MAX. Linear, 20 ns a bracket."""
    if text.count("[") + text.count("{") <= DEPTH_MAX:
        return False
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > DEPTH_MAX:
            return True
    return False


def read_parts(text: str) -> str:
    """Check an array of A2A 1.0 parts and return its compact form.

    Raises:
        MalformedJson: not 1 to 64 objects of which each has exactly one of text, raw,
            url and data; or too long.
    """
    parts = read(text)
    if not isinstance(parts, list) or not 1 <= len(parts) <= PARTS_MAX:
        raise MalformedJson(f"want an array of 1 to {PARTS_MAX} parts")
    for part in parts:
        if not isinstance(part, dict):
            raise MalformedJson("a part is an object")
        if len(_CONTENT & part.keys()) != 1:
            raise MalformedJson("a part has exactly one of text, raw, url and data")
        if part.keys() - _PART_KEYS:
            raise MalformedJson("a part has a key that A2A does not know")
        for key in _TEXT_KEYS & part.keys():
            if not isinstance(part[key], str):
                raise MalformedJson(f"{key} of a part is text")
        if not isinstance(part.get("metadata", {}), dict):
            raise MalformedJson("metadata of a part is an object")
    compact = write(parts)
    if len(compact.encode()) > PARTS_BYTES_MAX:
        raise MalformedJson(f"parts over {PARTS_BYTES_MAX} bytes")
    return compact


def read_ids(text: str) -> tuple[str, ...]:
    """Check an array of task ids (64 lower-case hex digits each), duplicates dropped."""
    ids = read(text)
    if not isinstance(ids, list) or len(ids) > IDS_MAX:
        raise MalformedJson(f"want an array of at most {IDS_MAX} ids")
    for id in ids:
        check_id(id)
    return tuple(dict.fromkeys(ids))


def check_id(id: object) -> str:
    """`id` itself, if it has the form of a task id."""
    if not isinstance(id, str) or len(id) != 64 or id.strip("0123456789abcdef"):
        raise MalformedJson("a task id is 64 hexadecimal digits")
    return id
