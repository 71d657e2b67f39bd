"""The text of a station file: read as a station with its problems, and written in one go."""

from __future__ import annotations

import contextlib
import os
import tempfile
import tomllib
from pathlib import Path

from pydantic import ValidationError

from teleop_app.core.config import StationConfig, field_problems
from teleop_app.core.errors import ConfigError, StorageError


def parsed(text: str, name: str) -> tuple[StationConfig | None, dict[str, str], ConfigError | None]:
    """Returns a text as a station, or its problems by place and as one sentence."""
    try:
        return StationConfig.model_validate(tomllib.loads(text)), {}, None
    except tomllib.TOMLDecodeError as error:
        problem = ConfigError(
            f"{name} is not valid TOML", why=str(error), next_step="Correct the text below, then save"
        )
        return None, {"file": str(error)}, problem
    except ValidationError as error:
        problems = field_problems(error)
        listed = "; ".join(f"{place}: {sentence}" for place, sentence in problems.items())
        count = f"{len(problems)} wrong field{'s' if len(problems) > 1 else ''}"
        problem = ConfigError(
            f"{name} has {count}", why=listed, next_step="Correct the text below, then save"
        )
        return None, problems, problem


def write_whole(path: Path, text: str) -> None:
    """Replaces a file in one go, so that a crash leaves the old one or the new one.

    Raises:
        StorageError: The folder cannot be written.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = file.name
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise StorageError(
            f"{path} could not be saved",
            why=error.strerror or str(error),
            next_step="Free space or give this user write access, then save again",
        ) from error
