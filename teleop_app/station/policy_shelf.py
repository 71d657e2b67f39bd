"""The policies that a station may choose from: files of its store, drivers, and what it takes to ask one.

What is dear (the robot model, drivers) is imported only when it is needed: a station without a policy pays
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teleop_app.autonomy.fit import fit
from teleop_app.autonomy.inquiry import Inquiry
from teleop_app.autonomy.novelty import Novelty
from teleop_app.autonomy.policy_file import PolicyFile
from teleop_app.autonomy.policy_library import PolicyLibrary
from teleop_app.autonomy.policy_templates import TemplateCell
from teleop_app.autonomy.registry import find_driver, make_policy
from teleop_app.core.errors import TeleopError
from teleop_app.core.policy import PolicyContext
from teleop_app.station.process import ProcessContext

if TYPE_CHECKING:
    import mujoco

    from teleop_app.control.assembly import ArmDescription
    from teleop_app.station.policy_view import CameraSizes

    CellDescription = Callable[[], tuple[Sequence[ArmDescription], mujoco.MjSpec]]


class StationShelf:
    """See `station.policy.PolicyShelf`.

    Args:
        context: Of the policy process.
        describe: The arms and the robot model of the station, made when it is called.
    """

    def __init__(self, context: ProcessContext, describe: CellDescription) -> None:
        self._context = context
        self._describe = describe
        self._made: PolicyLibrary | None = None

    def listing(self) -> list[dict[str, Any]]:
        """Name, title, driver, kind and problem of every policy.

        Raises:
            TeleopError: The folder of policies cannot be read.
        """
        listed = []
        for entry in self._library.entries():
            kind, problem = "", entry.problem
            try:
                kind = find_driver(entry.driver).kind.value if entry.driver else ""
            except TeleopError as error:
                problem = problem or error.sentence
            listed.append(
                {
                    "name": entry.name,
                    "title": entry.title,
                    "driver": entry.driver,
                    "kind": kind,
                    "problem": problem,
                }
            )
        return listed

    def load(self, name: str) -> PolicyFile:
        """A policy file.

        Raises:
            PolicyError: There is none of that name, or it is wrong.
        """
        return self._library.load(name)

    def inquiry(self, file: PolicyFile, cameras: Callable[[], CameraSizes]) -> Inquiry:
        """All that is needed to ask a policy, not yet opened. Called in a thread; may take seconds.

        Raises:
            TeleopError: Its driver is not there, its options are wrong, or the robot model cannot be used.
        """
        from teleop_app.station.device_roster import joint_names
        from teleop_app.station.policy_cell import PolicyCell

        config = self._context.config
        context = PolicyContext(
            name=file.name,
            arms=tuple(arm.name for arm in config.arms),
            joint_names=joint_names(config),
            rate_hz=file.rate_hz,
            horizon=file.horizon,
            clock=self._context.clock,
        )
        policy = make_policy(file.driver, context, file.options)
        cell = PolicyCell(config, *self._describe(), cameras)
        novelty = (lambda: Novelty.load(self._beside(file))) if file.novelty else None
        return Inquiry(file, policy, cell, lambda given, facts, layout: fit(given, layout, facts), novelty)

    @property
    def _library(self) -> PolicyLibrary:
        from teleop_app.station.device_roster import joint_names

        if self._made is None:
            config = self._context.config
            counts: dict[str, int] = {}
            for name in joint_names(config):
                arm = name.partition("/")[0]
                counts[arm] = counts.get(arm, -1) + 1  # the gripper left out
            cameras = tuple(camera.name for camera in config.cameras)
            self._made = PolicyLibrary(
                self._context.data.policies, TemplateCell(tuple(counts.items()), cameras)
            )
        return self._made

    def _beside(self, file: PolicyFile) -> Path:
        return self._context.data.policies / file.novelty
