"""A trace says what a task was told; what is none is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import cbor
from sandbox.errors import MalformedTrace
from sandbox.fault import Fault, FaultCode
from sandbox.trace import CALLS_MAX, TRACE_BYTES_MAX, Told, Trace

ANSWERS = st.text(max_size=50) | st.builds(Fault, st.sampled_from(FaultCode), st.text(max_size=50))
TOLD = st.builds(Told, st.just("task.now"), st.binary(min_size=32, max_size=32), ANSWERS)
TRACES = st.builds(
    Trace,
    st.binary(min_size=32, max_size=32),
    st.text(max_size=20),
    st.text(max_size=20),
    st.text(max_size=50),
    st.text(max_size=20),
    st.lists(TOLD, max_size=5).map(tuple),
    st.tuples(st.text(max_size=10), st.text(max_size=50)),
)


@given(TRACES)
def test_what_is_written_is_what_is_read(trace: Trace) -> None:
    data = trace.to_cbor()
    assert data is not None
    assert Trace.from_cbor(data) == trace


@given(st.binary(max_size=200))
def test_any_bytes_are_a_trace_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedTrace):
        assert Trace.from_cbor(data).to_cbor() == data


@given(TRACES, st.data())
def test_a_trace_with_one_byte_changed_is_another_or_none(
    trace: Trace, data: st.DataObject
) -> None:
    written = trace.to_cbor()
    assert written is not None
    at = data.draw(st.integers(0, len(written) - 1))
    changed = bytearray(written)
    changed[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedTrace):
        assert Trace.from_cbor(bytes(changed)) != trace


def test_what_is_too_long_is_not_kept() -> None:
    told = Told("journal.read", bytes(32), "x" * TRACE_BYTES_MAX)
    trace = Trace(bytes(32), "a", "b", "{}", "c", (told,), ("ok", "[]"))
    assert trace.to_cbor() is None


@pytest.mark.parametrize("code", ["", "okay", "UNKNOWN"])
def test_an_answer_with_another_code_is_none(code: str) -> None:
    trace = Trace(bytes(32), "a", "b", "{}", "c", (Told("f", b"", "x"),), ("ok", "[]"))
    data = trace.to_cbor()
    assert data is not None
    with pytest.raises(MalformedTrace):
        Trace.from_cbor(
            data.replace(b"\x62ok\x61x", bytes([0x60 + len(code)]) + code.encode() + b"\x61x")
        )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (1, "id"),
        (2, b"agent"),
        (5, 1),
        (6, {}),
        (6, [1]),
        (6, [["f", b"", "ok"]]),
        (6, [["f", "", "ok", "x"]]),
        (6, [["f", b"", "ok", "x"]] * (CALLS_MAX + 1)),
        (7, "ok"),
        (7, ["ok"]),
        (7, ["ok", 1]),
        (8, 1),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_field_that_no_node_writes_is_malformed(key: int, value: object) -> None:
    trace = Trace(bytes(32), "a", "b", "{}", "c", (), ("ok", "[]"))
    data = trace.to_cbor()
    assert data is not None
    fields = cbor.loads(data)
    assert isinstance(fields, dict)
    with pytest.raises(MalformedTrace):
        Trace.from_cbor(cbor.dumps(fields | {key: value}))
