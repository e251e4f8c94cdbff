"""Digests and rows say where two nodes differ, and nothing where they do not."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sync.checkpoint import Previous
from sync.proto.have_vector import digest, parts, tag, to_tell
from sync.proto.journal_messages import ROWS_MAX, Have, Row, encode, parse

rows = st.lists(
    st.builds(
        Row,
        st.integers(0, 20).map(lambda number: number.to_bytes(16)),
        st.integers(0, 3),
        st.sampled_from([b"a" * 8, b"b" * 8]),
    ),
    unique_by=lambda row: row.log,
    max_size=12,
).map(sorted)


def test_tags_tell_apart_what_must_not_be_taken_for_equal() -> None:
    root = b"r" * 32
    before = Previous(bytes(16), 1, bytes(32))
    tags = [
        tag(root, None, frozen_at=None, disputed=False),
        tag(root, before, frozen_at=None, disputed=False),
        tag(root, Previous(bytes(16), 2, bytes(32)), frozen_at=None, disputed=False),
        tag(root, None, frozen_at=3, disputed=False),
        tag(root, None, frozen_at=4, disputed=False),
        tag(root, None, frozen_at=3, disputed=True),
    ]
    assert tags[0] == root[:8]
    assert len(set(tags)) == len(tags)
    assert tag(root, before, frozen_at=3, disputed=False) == tags[3]


def test_a_long_vector_is_parted_so_that_each_part_stands_alone() -> None:
    many = [Row(number.to_bytes(16), 1, bytes(8)) for number in range(2 * ROWS_MAX + 5)]
    messages = list(parts(many))
    assert [parse(encode(message)) for message in messages] == messages
    assert [row for message in messages for row in message.rows] == many
    bounds = [message.bounds for message in messages]
    assert bounds[0] is not None
    assert bounds[-1] is not None
    assert (bounds[0][0], bounds[-1][1]) == (bytes(16), b"\xff" * 16)
    for one, two in pairwise(bounds):
        assert one is not None
        assert two is not None
        assert int.from_bytes(one[1]) + 1 == int.from_bytes(two[0])
    for message in messages:
        assert to_tell(many, message) == []
    assert len(list(parts([]))) == 1


@given(rows, rows)
def test_who_lacks_something_is_told_and_who_has_more_is_not(
    mine: list[Row], theirs: list[Row]
) -> None:
    told = to_tell(mine, Have(tuple(theirs), (bytes(16), b"\xff" * 16)))
    known = {row.log: row for row in theirs}
    for row in mine:
        other = known.get(row.log)
        expected = other is None or (other != row and row.size >= other.size)
        assert (row in told) == expected
    assert (digest(mine) == digest(theirs)) == (mine == theirs)
