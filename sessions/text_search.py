"""Folding of text so that a search ignores case, accents and width, in any script."""

from __future__ import annotations

import re
import unicodedata

_UUID_START = re.compile(r"[0-9a-f]{8}(-[0-9a-f-]{0,27})?")


def fold(text: str) -> str:
    """`text` in the form that searches compare: `"Café RED"` becomes `"cafe red"`."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def words(text: str) -> tuple[str, ...]:
    """The folded words of a search, each to be found as a part of a word."""
    return tuple(fold(text).split())


def like_pattern(word: str) -> str:
    r"""A LIKE pattern (ESCAPE '\\') that finds `word` anywhere and takes it literally."""
    return "%" + re.sub(r"([\\%_])", r"\\\1", word) + "%"


def uuid_prefix(word: str) -> str | None:
    """`word` when it can only be the start of an episode's UUID, else None."""
    return word if _UUID_START.fullmatch(word) else None
