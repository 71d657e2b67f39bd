"""The error family: environment faults that are shown to people, each one a sentence.

Anything else that escapes is a bug and is reported as one.
"""

from __future__ import annotations


class TeleopError(Exception):
    """A fault of the environment (not a bug), told as what failed, why, and what to do now.

    Args:
        what: What failed, with the value and the limit, as a sentence without its full stop.
        why: The reason, when it is known.
        next_step: What the reader can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", next_step: str = "") -> None:
        self.what = what.rstrip(". ")
        self.why = why.rstrip(". ")
        self.next_step = next_step.rstrip(". ")
        super().__init__(self.sentence)

    @property
    def sentence(self) -> str:
        """The whole message: what, why, next step."""
        head = f"{self.what}: {self.why}." if self.why else f"{self.what}."
        return f"{head} {self.next_step}." if self.next_step else head

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the parts, so that errors survive copying between processes."""
        return (_rebuild, (type(self), self.what, self.why, self.next_step))


def _rebuild(kind: type[TeleopError], what: str, why: str, next_step: str) -> TeleopError:
    return kind(what, why=why, next_step=next_step)


class ConfigError(TeleopError):
    """A station file or option is malformed, out of range, or names something that does not exist."""

    exit_code = 2


class DeviceError(TeleopError):
    """A follower, input, camera or sensor cannot be reached or misbehaves."""

    exit_code = 3


class StorageError(TeleopError):
    """The data directory is full, read-only, locked by another station, or fails an I/O call."""

    exit_code = 4


class EpisodeError(StorageError):
    """An episode file is truncated, foreign, damaged, or of a version this program does not know."""


class UnreadableError(EpisodeError):
    """The disk does not give an episode's bytes: nothing is known of what they are."""


class CatalogError(StorageError):
    """The catalog is damaged, newer than the program, or refuses an operation."""


class BusError(TeleopError):
    """A message between processes is malformed, or a process does not answer in time."""

    exit_code = 5


class StationError(TeleopError):
    """The station cannot start, is not running, or a request does not fit its present state."""

    exit_code = 6


class ExportError(TeleopError):
    """A dataset cannot be written or its source episodes do not fit together."""

    exit_code = 7


class PolicyError(TeleopError):
    """A policy's file is wrong, its server is not there or too slow, or its answer fits no robot."""

    exit_code = 8


def error_of_exit_code(code: int) -> type[TeleopError]:
    """The kind of error a process ended with; `StationError` for any other code."""
    kinds = (ConfigError, DeviceError, StorageError, BusError, StationError, ExportError, PolicyError)
    return next((kind for kind in kinds if kind.exit_code == code), StationError)
