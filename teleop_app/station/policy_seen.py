"""Which versions of which policies have driven this station before; the others start slowly."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

_KEPT: Final = 1000
_MAX_BYTES: Final = 1 << 20


class SeenVersions:
    """Kept in a small file. One that cannot be read counts as empty: policies then start slowly once more.

    A policy that does not tell its version is never seen: its weights may have changed.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, None] = dict.fromkeys(self._read())

    def has(self, policy: str, version: str) -> bool:
        """Whether it has driven here before."""
        return bool(version) and _key(policy, version) in self._seen

    def add(self, policy: str, version: str) -> None:
        """It has driven a rollout that ended well; kept at once."""
        if not version or self.has(policy, version):
            return
        self._seen[_key(policy, version)] = None
        for oldest in list(self._seen)[:-_KEPT]:
            del self._seen[oldest]
        try:
            self._write()
        except OSError as error:
            logger.warning("the seen versions could not be kept in %s: %s", self._path, error)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(f".new{os.getpid()}")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({"seen": list(self._seen)}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    def _read(self) -> list[str]:
        try:
            if self._path.stat().st_size > _MAX_BYTES:
                return []
            seen = json.loads(self._path.read_text(encoding="utf-8"))["seen"]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("the seen versions in %s cannot be read: %s", self._path, error)
            return []
        return [each for each in seen if isinstance(each, str)][-_KEPT:] if isinstance(seen, list) else []


def _key(policy: str, version: str) -> str:
    return f"{policy} {version}"
