"""What a policy tells of itself, cut to what can be true: a server may say anything of any type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from teleop_app.core.policy import PolicyFacts

_LARGEST_HORIZON = 1024
_LARGEST_WIDTH = 1024
_LARGEST_RATE_HZ = 1000.0
_MOST_KEYS = 256
_MOST_ITEMS = 500
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Told:
    """Facts that make sense; unknown and nonsense are 0 or None.

    Attributes:
        horizon: Actions of a chunk.
        action_dim: Channels of an action.
        rate_hz: Of its actions.
        keys: Of the observation that it reads, None when it does not tell.
        prefix: It takes the beginning of its next chunk.
        samples: It draws several chunks at once.
        normalised: Its metadata speaks of normalised numbers, and where.
        nonsense: What it told that cannot be, in words.
    """

    horizon: int
    action_dim: int
    rate_hz: float
    keys: tuple[str, ...] | None
    prefix: bool
    samples: bool
    normalised: str
    nonsense: tuple[str, ...]


def what_is_told(facts: PolicyFacts) -> Told:
    """Read facts whose fields may be of any type."""
    nonsense: list[str] = []

    def number(name: str, largest: float, *, whole: bool) -> float:
        value: Any = getattr(facts, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            nonsense.append(f"{name} {shown(value)}")
            return 0
        # The order matters: a whole number may be too large for a comparison with isfinite.
        if not 0 <= value <= largest or (whole and value != int(value)):
            nonsense.append(f"{name} {shown(value)} (0 to {largest:g})")
            return 0
        return value

    def flag(name: str) -> bool:
        value: Any = getattr(facts, name)
        if not isinstance(value, bool):
            nonsense.append(f"{name} {shown(value)}")
        return value is True

    return Told(
        horizon=int(number("horizon", _LARGEST_HORIZON, whole=True)),
        action_dim=int(number("action_dim", _LARGEST_WIDTH, whole=True)),
        rate_hz=float(number("rate_hz", _LARGEST_RATE_HZ, whole=False)),
        keys=_keys(facts.observation_keys, nonsense),
        prefix=flag("prefix"),
        samples=flag("samples"),
        normalised=_normalised(facts.metadata),
        nonsense=tuple(nonsense),
    )


def shown(value: Any) -> str:
    """A value of unknown kind and size as a short printable text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and value.bit_length() > 128:
        return "of more than 128 bits"
    text = value if isinstance(value, str) else repr(value) if isinstance(value, int | float) else ""
    text = text or f"a {type(value).__name__}"
    return "".join(letter if letter.isprintable() else "?" for letter in text[:60]) + "..." * (len(text) > 60)


def _keys(value: Any, nonsense: list[str]) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, tuple | list) or len(value) > _MOST_KEYS:
        size = f" of {len(value)}" if isinstance(value, tuple | list) else ""
        nonsense.append(f"observation_keys {shown(value)}{size}")
        return None
    if wrong := [key for key in value if not isinstance(key, str) or not key]:
        nonsense.append(f"observation_keys with {shown(wrong[0])}")
        return None
    return tuple(value)


def _normalised(metadata: Any) -> str:
    """Where the metadata says that numbers are normalised, empty where it does not."""
    waiting: list[tuple[str, Any, int]] = [("metadata", metadata, 0)]
    for _ in range(_MOST_ITEMS):
        if not waiting:
            break
        place, value, depth = waiting.pop()
        if isinstance(value, str) and _speaks_of_it(value):
            return f"{place} = {shown(value)}"
        if isinstance(value, Mapping) and depth < _DEEPEST:
            for key, inner in list(value.items())[:_MOST_ITEMS]:
                name = f"{place}.{shown(key)}"
                if isinstance(key, str) and _speaks_of_it(key) and inner is True:
                    return f"{name} = true"
                waiting.append((name, inner, depth + 1))
    return ""


def _speaks_of_it(text: str) -> bool:
    lowered = text[:200].lower()
    at = lowered.find("normali")
    return at >= 0 and not lowered[:at].endswith(("un", "de", "un_", "de_", "not ", "not_", "non-"))
