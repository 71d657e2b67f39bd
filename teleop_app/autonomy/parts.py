"""Where the parts of a state or an action stand: in the policy's channels, and in the station's vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teleop_app.autonomy.policy_sections import ActionSection, StateInput, channels
from teleop_app.autonomy.view import CellLayout
from teleop_app.core.errors import PolicyError


@dataclass(frozen=True, slots=True)
class PartPlace:
    """One part.

    Attributes:
        arm: Its name.
        row: Of the arm among the station's.
        what: `joints`, `velocity`, `gripper` or `ee`.
        columns: Of the policy's channels.
        place: Of the joint vector's columns; those of the arm's joints for `ee`.
    """

    arm: str
    row: int
    what: str
    columns: slice
    place: slice


def joint_counts(layout: CellLayout) -> dict[str, int]:
    """Joints of each arm, its gripper left out."""
    return {arm: span.stop - span.start for arm, span in layout.joints_of.items()}


def unknown_arms(parts: Sequence[str], layout: CellLayout) -> tuple[str, ...]:
    """Arms that the station does not have, in order."""
    return tuple(
        dict.fromkeys(arm for arm in (part.split("/")[0] for part in parts) if arm not in layout.arms)
    )


def width_of(section: StateInput | ActionSection, layout: CellLayout) -> int:
    """Channels of the parts on this station, padding left out.

    Raises:
        PolicyError: The station lacks an arm.
    """
    width = channels(section.parts, section.rotation, joint_counts(layout))
    missing = unknown_arms(section.parts, layout)
    if missing or width is None:
        raise PolicyError(
            f"The policy file names arm {', '.join(missing)}, which this station does not have",
            next_step=f"Its arms are {', '.join(layout.arms)}",
        )
    return width


def places(section: StateInput | ActionSection, layout: CellLayout) -> tuple[PartPlace, ...]:
    """Place of every part, in the order of the policy's channels.

    Raises:
        PolicyError: The station lacks an arm, or the statistics or the width are of other channels.
    """
    width = width_of(section, layout)
    given = section.statistics.width
    if (given and given != width) or 0 < section.width < width:
        what = f"statistics are of {given}" if given and given != width else f"width is of {section.width}"
        raise PolicyError(
            f"The policy file's {what} channels, but {', '.join(section.parts)} have {width}",
            next_step="Correct the policy file",
        )
    found: list[PartPlace] = []
    start = 0
    counts = joint_counts(layout)
    for part in section.parts:
        arm, what = part.split("/")
        end = start + (channels([part], section.rotation, counts) or 0)
        gripper = layout.gripper_of[arm]
        place = slice(gripper, gripper + 1) if what == "gripper" else layout.joints_of[arm]
        found.append(PartPlace(arm, layout.arms.index(arm), what, slice(start, end), place))
        start = end
    return tuple(found)
