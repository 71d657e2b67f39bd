"""The tasks of the simulated cell, by name."""

from typing import Final

from devices.sim.tasks.pick_place import PickPlace
from devices.sim.tasks.task import Task, Truth
from teleop_app.core.errors import ConfigError

TASKS: Final[dict[str, type[Task]]] = {task.name: task for task in (PickPlace,)}


def make_task(name: str) -> Task:
    """Makes a task of its name.

    Raises:
        ConfigError: There is no task of that name.
    """
    if name not in TASKS:
        raise ConfigError(
            f"The simulated cell has no task '{name}'", next_step=f"Choose one of: {', '.join(TASKS)}"
        )
    return TASKS[name]()


__all__ = ["TASKS", "Task", "Truth", "make_task"]
