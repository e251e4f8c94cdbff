"""Whose work it is: who is proven to have brought it, not whom a chain names."""

import pytest

from akshi_mesh.whose_work import originator_of

ME, EVE, ANN = "did:key:zMe", "did:key:zEve", "did:key:zAnn"


@pytest.mark.parametrize(
    ("sender", "chain", "originator"),
    [
        (EVE, (), EVE),
        (EVE, (f"{EVE}/x",), f"{EVE}/x"),
        (EVE, (f"{ANN}/boss", f"{EVE}/x"), f"{EVE}/x"),
        (ME, (), ME),
        (ME, (ME, f"{ME}/relay"), ME),
        (ME, (EVE, f"{ME}/relay"), EVE),
        (ME, (f"{ANN}/boss", f"{EVE}/x", f"{ME}/relay"), f"{EVE}/x"),
        (ME, (f"{ME}/boss", f"{ME}/relay"), ME),
        (ME, (f"{ME}/ghost", f"{EVE}/x", f"{ME}/relay"), f"{EVE}/x"),
        (ME, (ME, f"{ME}/ghost", f"{EVE}/x", f"{ME}/relay", f"{ME}/next"), f"{EVE}/x"),
    ],
)
def test_a_relay_of_ours_launders_nobody(
    sender: str, chain: tuple[str, ...], originator: str
) -> None:
    assert originator_of(sender, ME, chain) == originator
