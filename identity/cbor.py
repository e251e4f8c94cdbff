"""Strict CBOR: one spelling for each value (RFC 8949 §4.2.1), and only a few kinds of value.

Allowed are integers of 64 bits, bytes, text, arrays, maps whose keys are all unsigned integers or
all text, true, false and null, at most 16 containers deep. For these keys the order of RFC 8949
(bytewise) and that of RFC 7049 (length first) agree, so nobody's library can disagree with ours.

cbor2 alone accepts duplicate keys, trailing bytes, long spellings of short integers, indefinite
lengths, tags that build cycles, and `true` as the key 1. So what it decoded is walked, each type
checked by identity, and encoded again: the result must be the input.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, TypeAlias

import cbor2

from identity.errors import MalformedCbor

Value: TypeAlias = (
    "int | bytes | str | bool | Sequence[Value] | Mapping[int, Value] | Mapping[str, Value] | None"
)

DEPTH_MAX: Final = 16  # containers around a value; ours need 4, the rest is for those to come
SIZE_MAX: Final = 1 << 20  # bytes, unless the caller knows better; a host call is at most 1 MiB
_UINT_MAX: Final = (1 << 64) - 1
_INT_MIN: Final = -(1 << 64)


class _TagFound(Exception):
    """Raised inside cbor2's hooks, which wrap it."""


def _refuse_tag(*_facts: object) -> NoReturn:
    raise _TagFound


# Every tag that cbor2 6 knows: a regular expression to compile, an address to parse, a reference
# that closes a cycle. None of that code shall run on a stranger's bytes.
_KNOWN_TAGS: Final = (
    *(0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100),
    *(256, 258, 260, 261, 1004, 43000, 55799),
)
_REFUSE_TAGS: Final = dict.fromkeys(_KNOWN_TAGS, _refuse_tag)
_LEAVES: Final = frozenset({bytes, str, bool, type(None)})
_UINT_KEYS: Final = {int}
_TEXT_KEYS: Final = {str}
_ARRAYS: Final = frozenset({list, tuple})


def dumps(value: Value) -> bytes:
    """The one encoding of `value`; maps are sorted, whatever their order in memory.

    Raises:
        MalformedCbor: a type that is not allowed (bytearray, float, a subclass of int, …), an
            integer beyond 64 bits, text with a lone surrogate, deeper than 16.
    """
    try:
        in_order = _check(value, DEPTH_MAX)
        # cbor2's canonical mode sorts as RFC 7049 does, and costs twice the time.
        encoded: bytes = cbor2.dumps(value, canonical=not in_order)
    except UnicodeEncodeError as failure:
        raise MalformedCbor("text that is not unicode") from failure
    return encoded


def loads(data: bytes, *, size_max: int = SIZE_MAX) -> Value:
    """The value of `data`: dict, list, int, bytes, str, bool or None.

    Args:
        data: one encoded value and nothing after it.
        size_max: refused before decoding if longer, so a limit costs nothing to enforce.

    Raises:
        MalformedCbor: too long, or not exactly what `dumps` would write. No other error.

    Cost: about 3 µs for a map of six fields. Spec: docs/spec/envelope.md, "Strict CBOR".
    """
    if type(data) is not bytes:
        raise MalformedCbor(f"want bytes, not {type(data).__name__}")
    if len(data) > size_max:
        raise MalformedCbor(f"{len(data)} bytes, at most {size_max} are allowed")
    try:
        value: Value = cbor2.loads(
            data,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
            allow_duplicate_keys=False,
            semantic_decoders=_REFUSE_TAGS,
            tag_hook=_refuse_tag,
        )
    except cbor2.CBORDecodeError as failure:
        if isinstance(failure.__cause__, _TagFound):
            raise MalformedCbor("a tag, which is not allowed") from failure
        raise MalformedCbor(str(failure).lower()) from failure
    if not _check(value, DEPTH_MAX):
        raise MalformedCbor("map keys out of order")
    if cbor2.dumps(value) != data:
        raise MalformedCbor("not the shortest encoding, or bytes after its end")
    return value


def _check(value: Any, depth_left: int) -> bool:
    """Refuse a type that is not allowed; say whether every map is in order."""
    kind = type(value)
    if kind in _LEAVES:
        return True
    if kind is int:
        if not _INT_MIN <= value <= _UINT_MAX:
            raise MalformedCbor("an integer beyond 64 bits")
        return True
    if not depth_left:
        raise MalformedCbor(f"deeper than {DEPTH_MAX} containers")
    if kind is dict:
        in_order = _check_keys(value)
        value = value.values()
    elif kind in _ARRAYS:
        in_order = True
    else:
        raise MalformedCbor(f"a {kind.__name__}, which is not allowed")
    for item in value:
        # Most items are bytes and text: a call saved for each is a third of the walk.
        if type(item) not in _LEAVES and not _check(item, depth_left - 1):
            in_order = False
    return in_order


def _check_keys(value: dict[Any, Any]) -> bool:
    """Refuse a map whose keys are not all unsigned integers or all text; are they in order?"""
    kinds = set(map(type, value))
    if kinds == _UINT_KEYS:
        keys = list(value)
        in_order = sorted(keys)
        if in_order[0] < 0 or in_order[-1] > _UINT_MAX:
            raise MalformedCbor("a map key that is not an unsigned integer of 64 bits")
        return keys == in_order
    if kinds == _TEXT_KEYS:
        spelled = [key.encode() for key in value]
        return spelled == sorted(spelled, key=lambda key: (len(key), key))
    if kinds:
        raise MalformedCbor("map keys must be all unsigned integers or all text")
    return True
