"""Counts the words of a message, and writes the commonest one into its journal if it may."""

from collections import Counter

import akshi
from componentize_py_types import Err
from wit_world.imports import journal, task


def answer(asked: akshi.Task) -> str:
    words = Counter(asked.text.lower().split())
    if not words:
        raise akshi.GiveUp("the message has no words")
    task.progress(f"counting {words.total()} words")
    # Not most_common: it imports heapq when called, and a guest has no files to import from.
    commonest = max(words, key=words.__getitem__)
    try:
        journal.append("commonest", commonest)
        kept = "noted"
    except Err as refusal:  # what is not granted is answered, not fatal
        kept = f"not noted: {refusal.value.why}"
    return (
        f"hello from Python: {words.total()} words, {commonest!r} {words[commonest]} times, {kept}"
    )


WitWorld = akshi.agent(answer)
