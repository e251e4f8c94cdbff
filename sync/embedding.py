"""Texts as points, so that what means the same lies near: the interface, and one built in.

The built-in embedder knows no language. It hashes the words of a text and their pieces into
512 numbers, so that other forms of a word, and misspellings, still meet: "replicate" finds
"replication". It does not know that a car is an automobile; a trained model does (the extra
`embeddings`). It is pure: the same text gives the same bytes on every machine, for ever.

    word              weight 1, less if it is short
    pairs of words    0.5
    pieces of words   3, 4 and 5 characters of `^word$`, together as much as the word

Each feature adds its weight, by the logarithm of how often it is there, at the place that its
hash names, with the sign that another bit of the hash names: so collisions cancel out in the
mean (Weinberger et al., "Feature Hashing for Large Scale Multitask Learning", 2009).
"""

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, Protocol

TEXT_CHARS_MAX: Final = 2_000  # what is beyond is not looked at: 3 ms of work (measured)
DIMENSION: Final = 512
MODEL: Final = f"hashing-1-{DIMENSION}"

_WORD = re.compile(r"\w+")
_PIECES = (3, 4, 5)
_PAIR = 0.5
_FULL_CHARS = 6  # a word that long counts whole
_FACTOR = 0x9E3779B1  # golden ratio: spreads what crc32 leaves in order


class Embedder(Protocol):
    """Makes one vector of each text. Vectors of different models have nothing in common."""

    @property
    def model(self) -> str:
        """Names the model and everything that its numbers depend on."""

    @property
    def dimension(self) -> int: ...

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """One vector each: `dimension` signed bytes, as `quantised` makes them. May block."""


class HashingEmbedder:
    """The embedder that every node has."""

    model = MODEL
    dimension = DIMENSION

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        return [quantised(_vector(text[:TEXT_CHARS_MAX])) for text in texts]


def quantised(vector: Sequence[float]) -> bytes:
    """The direction of `vector` in signed bytes, at full scale; zeros for a vector of zeros.

    The angle between two such vectors is off by less than 0.003 (measured), and a vector takes
    a quarter of the room.
    """
    largest = max(map(abs, vector), default=0.0) or 1.0
    return bytes(round(value / largest * 127) & 0xFF for value in vector)


def _vector(text: str) -> list[float]:
    vector = [0.0] * DIMENSION
    for feature, weight in _features(text):
        mixed = zlib.crc32(feature.encode()) * _FACTOR
        vector[mixed >> 8 & DIMENSION - 1] += weight if mixed >> 31 & 1 else -weight
    return vector


def _features(text: str) -> Iterator[tuple[str, float]]:
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    for word, count in Counter(words).items():
        weight = (1 + math.log(count)) * min(1.0, len(word) / _FULL_CHARS)
        yield f"w{word}", weight
        marked = f"^{word}$"
        pieces = [marked[at : at + n] for n in _PIECES for at in range(len(marked) - n + 1)]
        for piece in pieces:
            # Root of the number of pieces: their squares add up to the word's own.
            yield f"p{piece}", weight / math.sqrt(len(pieces))
    for (first, second), count in Counter(pairwise(words)).items():
        yield f"b{first} {second}", _PAIR * (1 + math.log(count))
