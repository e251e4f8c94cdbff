"""An entry opens only under its name, with its bindings, and with the key of its box."""

import secrets
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.secrets.box import (
    NAMES_MAX,
    Entry,
    KeyKind,
    Lock,
    MalformedBox,
    Retired,
    WrongKey,
    dump,
    load,
    read_lock,
)
from identity import cbor
from sandbox.secrets import SecretBinding

KEY = bytes(range(32))
FILE = Lock(KeyKind.FILE)
ONE = Entry(
    "one",
    (SecretBinding.parse("one", "https://one.example/v1", agent="reader"),),
    1_000,
    "the-value-of-number-one",
    (Retired("an-older-value-of-one", 2_000),),
)
TWO = Entry("two", (SecretBinding.parse("two", "two.example"),), 1_001, "the-value-of-number-two")
BOX = dump([ONE, TWO], FILE, KEY, draw=secrets.token_bytes)


def changed(edit: Any) -> bytes:
    fields: Any = cbor.loads(BOX)
    edit(fields)
    return cbor.dumps(fields)


def test_what_was_sealed_opens_again() -> None:
    assert read_lock(BOX) == FILE
    assert load(BOX, KEY) == {"one": ONE, "two": TWO}


def test_without_the_key_there_are_names_and_places_and_no_values() -> None:
    locked = {name: replace(e, value=None, retired=()) for name, e in load(BOX, KEY).items()}
    assert load(BOX, None) == locked


def test_no_value_is_readable_in_the_file() -> None:
    for value in (b"the-value-of", b"an-older-value"):
        assert value not in BOX


def test_two_writings_of_the_same_secrets_have_nothing_sealed_in_common() -> None:
    again = dump([ONE, TWO], FILE, KEY, draw=secrets.token_bytes)
    first: Any = cbor.loads(BOX)
    second: Any = cbor.loads(again)
    assert all(a[3] != b[3] for a, b in zip(first[4], second[4], strict=True))


def test_another_key_is_told_from_a_changed_entry() -> None:
    with pytest.raises(WrongKey):
        load(BOX, bytes(32))


def swap_values(fields: Any) -> None:
    rows = fields[4]
    rows[0][3], rows[1][3] = rows[1][3], rows[0][3]


def swap_names(fields: Any) -> None:
    rows = fields[4]
    rows[0][0], rows[1][0] = rows[1][0], rows[0][0]


def swap_places(fields: Any) -> None:
    rows = fields[4]
    rows[0][1], rows[1][1] = rows[1][1], rows[0][1]


def another_host(fields: Any) -> None:
    fields[4][0][1][0][2] = "evil.example"


def plain_http(fields: Any) -> None:
    fields[4][0][1][0][1] = "http"


def any_agent(fields: Any) -> None:
    fields[4][0][1][0][6] = None


def more_methods(fields: Any) -> None:
    fields[4][0][1][0][5] = ["DELETE"]


def another_header(fields: Any) -> None:
    fields[4][0][1][0][7] = "X-Debug"


def older(fields: Any) -> None:
    fields[4][0][2] -= 1


def cut(fields: Any) -> None:
    fields[4][0][3] = fields[4][0][3][:30]


def one_bit(fields: Any) -> None:
    sealed = bytearray(fields[4][0][3])
    sealed[-1] ^= 1
    fields[4][0][3] = bytes(sealed)


@pytest.mark.parametrize(
    "edit",
    [swap_values, swap_names, swap_places, another_host, plain_http, any_agent, more_methods,
     another_header, older, cut, one_bit],
)  # fmt: skip
def test_an_entry_that_was_moved_or_changed_does_not_open(edit: Any) -> None:
    with pytest.raises(MalformedBox):
        load(changed(edit), KEY)


def test_another_salt_is_another_key() -> None:
    sealed = dump([ONE], Lock(KeyKind.PASSPHRASE, b"s" * 16), KEY, draw=secrets.token_bytes)
    fields: Any = cbor.loads(sealed)
    fields[2][2] = b"t" * 16
    with pytest.raises(WrongKey):
        load(cbor.dumps(fields), KEY)


def test_a_name_that_is_there_twice_is_no_box() -> None:
    with pytest.raises(MalformedBox, match="twice"):
        load(changed(lambda fields: fields[4].append(fields[4][0])), KEY)


@pytest.mark.parametrize(
    "edit",
    [
        lambda fields: fields.__setitem__(1, 2),
        lambda fields: fields.pop(4),
        lambda fields: fields.__setitem__(3, "x"),
        lambda fields: fields.__setitem__(2, {1: "tpm", 2: None}),
        lambda fields: fields.__setitem__(2, {1: "file", 2: b"s" * 16}),
        lambda fields: fields.__setitem__(2, {1: "passphrase", 2: None}),
        lambda fields: fields.__setitem__(2, {1: "passphrase", 2: b"short"}),
        lambda fields: fields.__setitem__(4, fields[4] * NAMES_MAX),
        lambda fields: fields[4][0].__setitem__(1, []),
        lambda fields: fields[4][0].pop(),
        lambda fields: fields.__setitem__(4, [5]),
    ],
)
def test_another_form_is_no_box(edit: Any) -> None:
    with pytest.raises(MalformedBox):
        load(changed(edit), KEY)


def test_printing_an_entry_shows_no_value() -> None:
    for entry in (ONE, TWO):
        assert "value-of" not in repr(entry)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_box_or_malformed(data: bytes) -> None:
    for key in (KEY, None):
        with pytest.raises((MalformedBox, WrongKey)):
            load(data, key)


@given(st.integers(0, len(BOX) - 1), st.integers(1, 255))
def test_one_changed_byte_is_noticed(at: int, flip: int) -> None:
    data = bytearray(BOX)
    data[at] ^= flip
    with pytest.raises((MalformedBox, WrongKey)):
        load(bytes(data), KEY)
