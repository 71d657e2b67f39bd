"""How the scripted operator solves each task, by task name."""

from collections.abc import Callable
from typing import Final

from devices.inputs.plans.belt_pick import belt_pick
from devices.inputs.plans.hand_over import hand_over
from devices.inputs.plans.peg_insert import peg_insert
from devices.inputs.plans.pick_place import pick_place
from devices.inputs.plans.view import PlanView, Script

PLANS: Final[dict[str, Callable[[PlanView], Script]]] = {
    "pick-place": pick_place,
    "hand-over": hand_over,
    "peg-insert": peg_insert,
    "belt-pick": belt_pick,
}

__all__ = ["PLANS"]
