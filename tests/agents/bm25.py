"""BM25 over paragraphs, written a second time and plainly, to hold the agents to."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

K1, B = 1.2, 0.75
# What the agents call a letter, among the characters that the tests use.
_WORD = re.compile(r"[0-9A-Za-zÀ-ÖØ-öø-\u1fff\u3040-\ud7ff]+")


class Passage(NamedTuple):
    file: str
    line: int
    text: str
    words: Counter[str]


def words_of(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def passages_of(file: str, text: str) -> list[Passage]:
    passages = []
    lines = text.split("\n")
    start = None
    for number, line in enumerate([*lines, ""]):
        if line.strip(" \t\r"):
            start = number if start is None else start
        elif start is not None:
            paragraph = "\n".join(lines[start:number]).strip(" \t\r\n")
            passages.append(Passage(file, start + 1, paragraph, Counter(words_of(paragraph))))
            start = None
    return passages


def rank(files: Mapping[str, str], question: str, k: int) -> list[tuple[str, int, float, str]]:
    """(file, line, score, text) of the best `k` passages that hold a word of the question."""
    passages = [passage for file, text in files.items() for passage in passages_of(file, text)]
    terms = list(dict.fromkeys(words_of(question)))
    mean = sum(passage.words.total() for passage in passages) / max(1, len(passages))
    idf = {}
    for term in terms:
        n = sum(1 for passage in passages if term in passage.words)
        idf[term] = math.log(1 + (len(passages) - n + 0.5) / (n + 0.5))
    ranked = []
    for passage in passages:
        score = 0.0
        for term in terms:
            f = passage.words[term]
            norm = K1 * (1 - B + B * passage.words.total() / mean) if f else 0
            score += idf[term] * f * (K1 + 1) / (f + norm) if f else 0
        if score:
            ranked.append((passage.file, passage.line, score, passage.text))
    ranked.sort(key=lambda hit: (-round(hit[2], 9), hit[0].encode(), hit[1]))
    return ranked[:k]
