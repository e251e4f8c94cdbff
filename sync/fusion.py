"""Several rankings of the same things become one: reciprocal rank fusion.

Each ranking gives the thing at its rank r (from 1) the score 1 / (60 + r); scores add up. Only
ranks count, so rankings whose scores mean different things need no scale (Cormack, Clarke,
Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
Methods", SIGIR 2009, which found 60).
"""

from collections.abc import Hashable, Sequence
from typing import Final, TypeVar

RANK_OFFSET: Final = 60

ThingT = TypeVar("ThingT", bound=Hashable)


def fused(rankings: Sequence[Sequence[ThingT]]) -> list[tuple[ThingT, float]]:
    """Things with their scores, best first; those that tie in the order they were named.

    >>> fused([["a", "b"], ["b"]])[0][0]
    'b'
    """
    scores: dict[ThingT, float] = {}
    for ranking in rankings:
        for rank, thing in enumerate(ranking, start=1):
            scores[thing] = scores.get(thing, 0.0) + 1 / (RANK_OFFSET + rank)
    return sorted(scores.items(), key=lambda scored: -scored[1])
