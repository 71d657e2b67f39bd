"""The policy file: which policy, how it wants to see the station, and what its actions mean.

Read with `load_policy`; every mistake is reported at once, with its place. docs/policies.md is its prose.
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from teleop_app.autonomy.policy_sections import (
    ActionSection,
    Convention,
    ImageInput,
    ObservationSection,
    Section,
    StateInput,
    Statistics,
)
from teleop_app.autonomy.rotations import Rotation
from teleop_app.autonomy.statistics_file import fill_statistics
from teleop_app.core.config import field_problems
from teleop_app.core.errors import PolicyError

__all__ = [
    "ActionSection",
    "Convention",
    "Execution",
    "ImageInput",
    "ObservationSection",
    "PolicyFile",
    "PolicyName",
    "Rotation",
    "StateInput",
    "Statistics",
    "load_policy",
    "parse_policy",
]

PolicyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
_LARGEST_FILE = 1_000_000


class Execution(StrEnum):
    """How chunks are joined.

    SYNC: a chunk's first actions are executed, then the robot rests until the next chunk is here.
    SWITCH: the next one is asked for meanwhile, and followed from the action that is then due.
    ENSEMBLE: likewise, and overlapping chunks are averaged.
    RTC: likewise, and the policy continues the chunk that is being executed (real-time chunking).
    """

    SYNC = "sync"
    SWITCH = "switch"
    ENSEMBLE = "ensemble"
    RTC = "rtc"


class PolicyFile(Section):
    """One policy.

    Attributes:
        name: Its file's stem.
        title: For people.
        driver: `openpi`, `groot`, `starvla`, `lerobot`, or built in: `hold`, `replay`, `scripted`.
        options: Settings of the driver.
        version: Checkpoint hash, for servers that do not tell.
        rate_hz: Of its actions.
        horizon: Actions of a chunk (H).
        execute: Actions executed before the next chunk is wanted.
        execution: How chunks are joined.
        samples: Chunks drawn at a time to judge its uncertainty; 1 does not.
        novelty: File of picture statistics to tell what it was not trained on, beside this file; empty: none.
        observation: How it sees the station.
        action: What its actions mean.
    """

    name: PolicyName = "policy"
    title: str = Field(default="", max_length=120)
    driver: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")
    options: dict[str, Any] = Field(default_factory=dict)
    version: str = Field(default="", max_length=120)
    rate_hz: float = Field(default=20.0, gt=0.0, le=200.0)
    horizon: int = Field(default=16, ge=1, le=256)
    execute: int = Field(default=8, ge=1, le=256)
    execution: Execution = Execution.SWITCH
    samples: int = Field(default=1, ge=1, le=32)
    novelty: str = Field(default="", max_length=200)
    observation: ObservationSection = ObservationSection()
    action: ActionSection

    @field_validator("execute")
    @classmethod
    def _no_more_than_there_are(cls, execute: int, info: ValidationInfo) -> int:
        horizon = info.data.get("horizon")
        if horizon is not None and execute > horizon:
            raise ValueError(f"execute {execute} must not exceed horizon {horizon}")
        return execute

    @field_validator("novelty")
    @classmethod
    def _lies_beside(cls, novelty: str) -> str:
        if Path(novelty).name != novelty:
            raise ValueError("the file must lie beside the policy file: give its name alone")
        return novelty


def load_policy(path: Path) -> PolicyFile:
    """Read and validate a policy file.

    Raises:
        PolicyError: It is missing, too large, not TOML, or has wrong fields; all of them are listed.
    """
    try:
        size = path.stat().st_size
        text = path.read_text(encoding="utf-8") if size <= _LARGEST_FILE else ""
    except FileNotFoundError as error:
        raise PolicyError(
            f"The policy file {path} does not exist", next_step="Create one with: teleop policy init"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"The policy file {path} cannot be read", why=str(error)) from error
    if size > _LARGEST_FILE:
        raise PolicyError(f"The policy file {path} has {size} bytes (limit {_LARGEST_FILE})")
    return parse_policy(text, path.stem, folder=path.parent, origin=str(path))


def parse_policy(text: str, name: str, *, folder: Path | None = None, origin: str = "") -> PolicyFile:
    """Validate the text of a policy file.

    Args:
        text: TOML.
        name: Of the policy: its file's stem.
        folder: Where files that it names lie; None when there are none.
        origin: Names the text in errors.

    Raises:
        PolicyError: As `load_policy`.
    """
    origin = origin or f"{name}.toml"
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise PolicyError(f"{origin} is not valid TOML", why=str(error)) from error
    problems: dict[str, str] = {}
    if raw.setdefault("name", name) != name:
        problems["name"] = f"a policy is called as its file: {name!r}; leave the name out"
        raw["name"] = name
    problems |= fill_statistics(raw, folder)
    policy: PolicyFile | None = None
    try:
        policy = PolicyFile.model_validate(raw)
    except ValidationError as error:
        unread = {place.removesuffix(".file") for place in problems if place.endswith(".file")}
        problems |= {
            place: problem
            for place, problem in field_problems(error).items()
            # Numbers that a file could not give are told once.
            if place.rpartition(".")[0] not in unread
        }
    if problems or policy is None:
        raise PolicyError(
            f"{origin} has {len(problems)} wrong field{'s' if len(problems) > 1 else ''}",
            why="; ".join(f"{place}: {problem}" for place, problem in problems.items()),
            next_step="docs/policies.md describes each field",
        )
    return policy
