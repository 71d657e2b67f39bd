"""A checkpoint of LeRobot that is not where it shall be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from teleop_app.autonomy.registry import make_policy
from teleop_app.core.clock import FakeClock
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyContext


@pytest.mark.parametrize("place", ["{tmp}/no", "~/no/such", "./no", "outputs/train/act/no"])
def test_a_folder_that_is_not_there_is_named(place: str, tmp_path: Path) -> None:
    checkpoint = place.format(tmp=tmp_path)
    context = PolicyContext("act", ("left",), (), 20.0, 16, FakeClock())
    policy = make_policy("lerobot", context, {"checkpoint": checkpoint, "python": sys.executable})
    with pytest.raises(PolicyError, match="There is no folder .*no.*Correct checkpoint"):
        policy.open()
