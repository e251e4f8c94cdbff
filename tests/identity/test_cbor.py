"""Strict CBOR: one spelling for each value, a short list of values, and no other error."""

from random import Random

import cbor2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from identity import cbor
from identity.errors import MalformedCbor
from tests.strategies import cbor_values

NESTED_16, NESTED_17 = b"\x81" * 16 + b"\x00", b"\x81" * 17 + b"\x00"
# Encoded values, and why RFC 8949 §4.2.1 or our profile refuses them.
REFUSED = {
    # not the shortest length
    "1800": "shortest",
    "1817": "shortest",
    "190018": "shortest",
    "1900ff": "shortest",
    "1a0000ffff": "shortest",
    "1b00000000ffffffff": "shortest",
    "3817": "shortest",
    "5800": "shortest",
    "5817" + "00" * 23: "shortest",
    "7800": "shortest",
    "9800": "shortest",
    "b800": "shortest",
    "a1180100": "shortest",
    # after the end, before the end
    "0000": "after its end",
    "f6f6": "after its end",
    "": "premature end",
    "18": "premature end",
    "42ff": "premature end",
    "8200": "premature end",
    "a100": "premature end",
    "5bffffffffffffffff00": "premature end",
    "7bffffffffffffffff61": "premature end",
    "9bffffffffffffffff": "premature end",
    "bbffffffffffffffff": "premature end",
    # indefinite lengths, and a break with nothing to break
    "5f4100ff": "indefinite",
    "7f6161ff": "indefinite",
    "9f00ff": "indefinite",
    "bf0000ff": "indefinite",
    "ff": "break",
    # reserved additional information
    "1c": "subtype",
    "1d": "subtype",
    "1e": "subtype",
    "1f": "indefinite",
    "fc": "reserved",
    # keys: twice, out of order, mixed, of another type
    "a201000100": "duplicate",
    "a2616100616100": "duplicate",
    "a202000100": "out of order",
    "a218180000f6": "out of order",
    "a2616200616100": "out of order",
    "a262616100616200": "out of order",
    "a20000616100": "map keys",
    "a14000": "map keys",
    "a1f500": "map keys",
    "a1f600": "map keys",
    "a18000": "map keys",
    "a1a000": "map keys",
    "a12000": "map key",
    "a220000000": "map key",
    # tags, each of those that cbor2 would act on: dates, numbers, patterns, references, sets, …
    "c074323031332d30332d32315432303a30343a30305a": "a tag",
    "c100": "a tag",
    "c24101": "a tag",
    "c249010000000000000000": "a tag",
    "c34101": "a tag",
    "c4820000": "a tag",
    "c5820000": "a tag",
    "d81900": "a tag",
    "d81c80": "a tag",
    "d81c81d81d00": "a tag",
    "d81d00": "a tag",
    "d81e820102": "a tag",
    "d8236161": "a tag",
    "d82550" + "00" * 16: "a tag",
    "d90100820000": "a tag",
    "d90102820001": "a tag",
    "d90104447f000001": "a tag",
    "d903e600": "a tag",
    "d9d9f700": "a tag",
    "da0001020300": "a tag",
    # floats, undefined, simple values
    "f90000": "float",
    "f97e00": "float",
    "fa47c35000": "float",
    "fb3ff199999999999a": "float",
    "f7": "which is not allowed",
    "e0": "which is not allowed",
    "f0": "which is not allowed",
    "f8ff": "which is not allowed",
    "f814": "simple value",
    "f820": "which is not allowed",
    # text that is not UTF-8: stray, overlong, a surrogate
    "61ff": "text",
    "62c080": "text",
    "63eda080": "text",
    # deeper than 16
    NESTED_17.hex(): "depth",
    ("a100" * 17 + "00"): "depth",
    ("81" * 100_000 + "00"): "depth",
}


@given(cbor_values)
def test_what_is_written_is_read(value: cbor.Value) -> None:
    encoded = cbor.dumps(value)
    read = cbor.loads(encoded)
    assert read == value
    assert type(read) is type(value)
    assert cbor.dumps(read) == encoded


@given(st.dictionaries(st.integers(0, 1 << 40), st.none()), st.randoms())
def test_the_order_in_memory_does_not_matter(value: dict[int, None], random: Random) -> None:
    items = list(value.items())
    random.shuffle(items)
    assert cbor.dumps([dict(items)]) == cbor.dumps([value])


@given(st.binary(max_size=100) | st.binary(max_size=40).map(b"\xa2".__add__))
@example(NESTED_17)
@example(b"\x81" * 200_000)
@example(b"\xd8\x1c\x81\xd8\x1d\x00")
def test_any_bytes_give_a_value_or_malformed(data: bytes) -> None:
    try:
        value = cbor.loads(data)
    except MalformedCbor:
        return
    assert cbor.dumps(value) == data


@given(cbor_values, st.data())
def test_one_changed_byte_gives_another_value_or_malformed(
    value: cbor.Value, data: st.DataObject
) -> None:
    encoded = bytearray(cbor.dumps(value))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        changed = cbor.loads(bytes(encoded))
    except MalformedCbor:
        return
    assert cbor.dumps(changed) == bytes(encoded) != cbor.dumps(value)


@given(cbor_values)
def test_a_plain_decoder_reads_the_same(value: cbor.Value) -> None:
    assert cbor2.loads(cbor.dumps(value)) == value


@pytest.mark.parametrize(("data", "why"), REFUSED.items(), ids=lambda text: str(text)[:24])
def test_what_is_not_the_one_spelling_is_refused(data: str, why: str) -> None:
    with pytest.raises(MalformedCbor, match=why):
        cbor.loads(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (255, "18ff"),
        (256, "190100"),
        (65536, "1a00010000"),
        (1 << 32, "1b0000000100000000"),
        ((1 << 64) - 1, "1bffffffffffffffff"),
        (-1, "20"),
        (-(1 << 64), "3bffffffffffffffff"),
        (b"", "40"),
        (b"\x01\x02\x03\x04", "4401020304"),
        ("", "60"),
        ("ü", "62c3bc"),
        ([], "80"),
        ((1, 2), "820102"),
        ({}, "a0"),
        ({24: 0, 1: 0}, "a20100181800"),
        # Shorter first, then bytewise: both RFCs agree.
        ({"b": 0, "aa": 0, "a": 0}, "a361610061620062616100"),
        (False, "f4"),
        (True, "f5"),
        (None, "f6"),
    ],
)
def test_examples_of_rfc_8949_appendix_a(value: cbor.Value, encoded: str) -> None:
    assert cbor.dumps(value).hex() == encoded
    assert cbor.loads(bytes.fromhex(encoded)) == (list(value) if type(value) is tuple else value)


def test_long_and_short_text_keys_sort_alike_in_both_rfcs() -> None:
    value = {"a" * size: size for size in (300, 24, 23, 1, 256, 255)}
    encoded = cbor.dumps(value)
    assert encoded == cbor2.dumps(value, canonical=True)
    assert list(cbor.loads(encoded)) == sorted(value, key=cbor2.dumps)  # type: ignore[arg-type]


class SubInt(int):
    """An int that is not an int."""


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (1.0, "float"),
        (SubInt(1), "SubInt"),
        (bytearray(b"x"), "bytearray"),
        ({1, 2}, "set"),
        (1 << 64, "64 bits"),
        (-(1 << 64) - 1, "64 bits"),
        ("\ud800", "unicode"),
        ({"\ud800": 1}, "unicode"),
        ({True: 1}, "map keys"),
        ({1: 1, "a": 1}, "map keys"),
        ({b"a": 1}, "map keys"),
        ({-1: 1}, "map key"),
        ({1 << 64: 1}, "map key"),
        ([{"a": [object()]}], "object"),
    ],
)
def test_what_is_not_allowed_is_not_written(value: cbor.Value, why: str) -> None:
    with pytest.raises(MalformedCbor, match=why):
        cbor.dumps(value)


def test_sixteen_containers_are_the_limit_both_ways() -> None:
    value = cbor.loads(NESTED_16)
    assert cbor.dumps(value) == NESTED_16
    with pytest.raises(MalformedCbor, match="deeper than 16"):
        cbor.dumps([value])
    circle: list[cbor.Value] = []
    circle.append(circle)
    with pytest.raises(MalformedCbor, match="deeper than 16"):
        cbor.dumps(circle)


def test_size_is_looked_at_before_anything_else() -> None:
    assert cbor.loads(b"\x42ab", size_max=3) == b"ab"
    with pytest.raises(MalformedCbor, match="3 bytes, at most 2"):
        cbor.loads(b"\xff\xff\xff", size_max=2)
    with pytest.raises(MalformedCbor, match="at most 1048576"):
        cbor.loads(bytes(cbor.SIZE_MAX + 1))


@pytest.mark.parametrize("data", [bytearray(b"\x00"), memoryview(b"\x00"), "00", None])
def test_only_bytes_are_read(data: object) -> None:
    with pytest.raises(MalformedCbor, match="want bytes"):
        cbor.loads(data)  # type: ignore[arg-type]
