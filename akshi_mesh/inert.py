"""Words of strangers made harmless for a terminal and a log.

A guest or a peer may send any text. Control characters could rewrite the screen, direction
marks could turn a line around, half surrogates cannot be printed at all. Each is shown as its
escape; everything that is only text, in any script, stays as it is.
"""

import unicodedata

# Joiners carry meaning inside words of several scripts and inside emoji.
_JOINERS = "\u200c\u200d"
_HARMFUL = ("Cc", "Cf", "Cs", "Zl", "Zp")


def inert(text: str, *, lines: bool = False) -> str:
    r"""`text` with everything but plain characters escaped; `lines` keeps newlines and tabs.

    >>> inert("ok\x1b[2J")
    'ok\\x1b[2J'
    """
    if text.isprintable():
        return text
    kept = _JOINERS + ("\n\t" if lines else "")
    return "".join(
        character if character in kept or not _is_harmful(character) else _escaped(character)
        for character in text
    )


def _is_harmful(character: str) -> bool:
    return unicodedata.category(character) in _HARMFUL


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
