"""Any bytes on a channel: frames, or MalformedFrame; nothing else, and bounded memory."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import MalformedFrame
from sandbox.fault import Fault, FaultCode
from sandbox.hostcall import (
    FRAME_BYTES_MAX,
    FROM_COMPILER,
    FROM_NODE,
    FROM_WORKER,
    FUNCTIONS,
    TEXT_BYTES_MAX,
    Answer,
    Call,
    Chunk,
    Done,
    Faulted,
    FaultKind,
    Frame,
    Kind,
    Limits,
    Parser,
    Ready,
    Run,
    decode,
    encode,
)

ANY_KIND = frozenset(Kind)
u16, u32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)
texts = st.text(max_size=40)
limits = st.builds(Limits, u64, u32, u16, u16, u16, u32)


@st.composite
def calls(draw: st.DrawFn) -> Call:
    function = draw(st.sampled_from(list(FUNCTIONS)))
    arguments = tuple(draw(u32 if kind == "u" else texts) for kind in FUNCTIONS[function])
    return Call(draw(u32), function, arguments)


frames: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Ready, st.booleans()),
    st.builds(Run, limits, texts),
    calls(),
    st.builds(Answer, u32, texts | st.builds(Fault, st.sampled_from(FaultCode), texts)),
    st.builds(Done, st.booleans(), texts, u64),
    st.builds(Faulted, st.sampled_from(FaultKind), texts),
    st.builds(Chunk, st.binary(max_size=40)),
)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    return [*parts, data]


@given(st.lists(frames, max_size=5), st.lists(st.integers(0, 20), max_size=12))
def test_frames_survive_the_stream_however_it_is_cut(sent: list[Frame], sizes: list[int]) -> None:
    parser = Parser(ANY_KIND)
    received = []
    for part in cut(b"".join(map(encode, sent)), sizes):
        parser.feed(part)
        received += parser.frames()
    assert received == sent


@given(st.binary(max_size=200))
def test_any_payload_is_a_frame_in_its_only_form_or_malformed(payload: bytes) -> None:
    try:
        frame = decode(payload)
    except MalformedFrame:
        return
    assert encode(frame)[4:] == payload


@given(st.binary(max_size=400), st.sampled_from([FROM_NODE, FROM_WORKER, FROM_COMPILER]))
def test_any_stream_gives_frames_of_that_side_or_malformed(
    data: bytes, accepted: frozenset[Kind]
) -> None:
    parser = Parser(accepted)
    parser.feed(data)
    try:
        for frame in parser.frames():
            assert encode(frame)[4] in accepted
    except MalformedFrame:
        pass


@given(frames, st.data())
def test_one_changed_byte_never_gives_the_same_frame(frame: Frame, data: st.DataObject) -> None:
    payload = bytearray(encode(frame)[4:])
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedFrame):
        assert decode(bytes(payload)) != frame


@pytest.mark.parametrize("length", [0, FRAME_BYTES_MAX + 1, 2**32 - 1])
def test_a_length_that_no_frame_has_is_refused_at_once(length: int) -> None:
    parser = Parser(ANY_KIND)
    parser.feed(length.to_bytes(4, "little"))
    with pytest.raises(MalformedFrame, match=f"length {length}"):
        parser.next()


def test_the_wrong_sides_frame_is_refused_at_its_first_byte() -> None:
    """A worker that "answers" cannot make the node buffer a megabyte first."""
    parser = Parser(FROM_WORKER)
    parser.feed((1 << 20).to_bytes(4, "little") + bytes([Kind.ANSWER]))
    with pytest.raises(MalformedFrame, match="from this side"):
        parser.next()


def test_the_longest_texts_fit_and_longer_ones_do_not() -> None:
    for frame in (
        Run(Limits(1), "x" * TEXT_BYTES_MAX),
        Call(0, "mcp.call-tool", ("a", "b", "x" * (TEXT_BYTES_MAX - 2))),
        Answer(0, "x" * TEXT_BYTES_MAX),
        Done(True, "x" * TEXT_BYTES_MAX, 0),
        Chunk(bytes(TEXT_BYTES_MAX)),
    ):
        parser = Parser(ANY_KIND)
        parser.feed(encode(frame))
        assert parser.next() == frame
    with pytest.raises(MalformedFrame, match="text over its limit"):
        decode(bytes([Kind.ANSWER]) + bytes(5) + b"x" * (TEXT_BYTES_MAX + 1))


def test_a_long_reason_is_cut_at_a_character() -> None:
    frame = decode(encode(Faulted(FaultKind.WORKER, "ü" * 5_000))[4:])
    assert frame == Faulted(FaultKind.WORKER, "ü" * 1_000)


def test_two_calls_ask_the_same_whatever_their_number() -> None:
    """What a memory of calls compares is function and arguments."""
    first, later = Call(3, "a2a.wait", ("x", 7)), Call(9, "a2a.wait", ("x", 7))
    assert first.request == later.request
    assert first.request != Call(3, "a2a.wait", ("x", 8)).request
    assert Call(0, "journal.append", ("ab", "c")).request != (
        Call(0, "journal.append", ("a", "bc")).request
    )
