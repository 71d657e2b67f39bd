"""Texts of policy files to start from: for each protocol, with the cameras and arms of this very station."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from teleop_app.autonomy.view import CellLayout
from teleop_app.core.errors import PolicyError

_PICTURE = 224


@dataclass(frozen=True, slots=True)
class TemplateCell:
    """What a template has to know of a station.

    Attributes:
        arms: Name and number of joints (the gripper left out) of each, in order.
        cameras: Names.
    """

    arms: tuple[tuple[str, int], ...]
    cameras: tuple[str, ...]

    @classmethod
    def of(cls, layout: CellLayout) -> TemplateCell:
        """Of a running station."""
        spans = layout.joints_of
        arms = tuple((arm, spans[arm].stop - spans[arm].start) for arm in layout.arms)
        return cls(arms, tuple(layout.cameras))

    @property
    def names(self) -> tuple[str, ...]:
        """Of the arms."""
        return tuple(name for name, _ in self.arms)

    def wrist(self, arm: str) -> str:
        """Camera on an arm's wrist by its name, empty when there seems to be none."""
        on_wrists = [camera for camera in self.cameras if "wrist" in camera or "hand" in camera]
        named = [camera for camera in on_wrists if arm in camera]
        alone = on_wrists if len(self.arms) == 1 else []
        return next(iter([*named, *alone]), "")

    @property
    def scene(self) -> str:
        """Camera that looks at the whole cell, by its name; empty without cameras."""
        wrists = {self.wrist(arm) for arm in self.names}
        fixed = [camera for camera in self.cameras if camera not in wrists]
        return next(iter([*fixed, *self.cameras]), "")


def template(protocol: str, cell: TemplateCell) -> str:
    """A whole policy file as TOML, with comments; it fits the station as it is.

    Raises:
        PolicyError: There is no such template, or the station lacks what it is about.
    """
    make = _TEMPLATES.get(protocol)
    if make is None:
        raise PolicyError(
            f"There is no template {protocol!r:.60}", next_step=f"Choose one of: {', '.join(_TEMPLATES)}"
        )
    if not cell.arms:
        raise PolicyError("A policy file needs an arm, and this station has none")
    return make(cell)


def _openpi(cell: TemplateCell) -> str:
    images = "".join(_image(f"observation/images/{camera}", camera) for camera in cell.cameras)
    return f"""\
# A server of openpi's protocol: openpi's own, or `teleop policy serve`.
title = "openpi server"
driver = "openpi"
# Of its actions, its chunk, and how much of a chunk is executed before the next one is wanted.
rate_hz = 20.0
horizon = 16
execute = 8
# sync, switch, ensemble, or rtc for a server that offers real-time chunking.
execution = "switch"

[options]
host = "127.0.0.1"
port = 8000

# What it sees. The keys are those that its training configuration reads.
[observation]
prompt = "prompt"
{images}
[[observation.states]]
key = "observation/state"
parts = {_parts(cell, "joints", "gripper")}

# What its actions mean: here the joints [rad] and grippers of every arm, as they are.
[action]
parts = {_parts(cell, "joints", "gripper")}
convention = "absolute"
"""


def _openpi_aloha(cell: TemplateCell) -> str:
    if len(cell.arms) < 2:
        raise PolicyError("A policy of ALOHA drives two arms, and this station has one")
    pair = TemplateCell(cell.arms[:2], cell.cameras)
    cameras = {"cam_high": cell.scene}
    cameras |= {
        key: pair.wrist(arm)
        for key, arm in zip(("cam_left_wrist", "cam_right_wrist"), pair.names, strict=True)
        if pair.wrist(arm)
    }
    images = "".join(
        _image(f"images/{key}", camera, 'layout = "CHW"') for key, camera in cameras.items() if camera
    )
    return f"""\
# openpi's ALOHA policies: 14 numbers (6 joints and a gripper, left then right), pictures channels first.
title = "openpi, ALOHA"
driver = "openpi"
rate_hz = 50.0
horizon = 50
execute = 25
execution = "switch"

[options]
host = "127.0.0.1"
port = 8000

[observation]
prompt = "prompt"
# `images/cam_high` becomes {{"images": {{"cam_high": ...}}}}.
nested = true
{images}
# The server turns joints and grippers into those of its training itself (adapt_to_pi).
[[observation.states]]
key = "state"
parts = {_parts(pair, "joints", "gripper")}

[action]
parts = {_parts(pair, "joints", "gripper")}
convention = "absolute"
"""


def _openpi_droid(cell: TemplateCell) -> str:
    arm, joints = cell.arms[0]
    one = TemplateCell(cell.arms[:1], cell.cameras)
    cameras = {"exterior_image_1_left": cell.scene, "wrist_image_left": one.wrist(arm) or cell.scene}
    images = "".join(_image(f"observation/{key}", camera) for key, camera in cameras.items() if camera)
    low, high = [-0.2] * joints + [-1.0], [0.2] * joints + [1.0]
    return f"""\
# openpi's DROID policies: one arm with 7 joints, 15 Hz, and a gripper that counts 1 as closed.
title = "openpi, DROID"
driver = "openpi"
rate_hz = 15.0
horizon = 15
execute = 8
execution = "switch"

[options]
host = "127.0.0.1"
port = 8000

[observation]
prompt = "prompt"
{images}
[[observation.states]]
key = "observation/joint_position"
parts = ["{arm}/joints"]

[[observation.states]]
key = "observation/gripper_position"
parts = ["{arm}/gripper"]
closed = 1.0
opened = 0.0

# It answers joint velocities from -1 to 1, of which 1 is 0.2 rad a step: deltas in other words. For
# checkpoints that answer joint positions, set convention = "absolute" and leave the statistics out.
[action]
parts = ["{arm}/joints", "{arm}/gripper"]
convention = "delta"
closed = 1.0
opened = 0.0

[action.statistics]
kind = "min_max"
low = {low}
high = {high}
"""


def _groot(cell: TemplateCell) -> str:
    images = "".join(_image(f"video.{camera}", camera, size=256) for camera in cell.cameras)
    states = "".join(
        f'\n[[observation.states]]\nkey = "state.{name}"\nparts = ["{part}"]\n'
        for name, part in _groot_parts(cell)
    )
    return f"""\
# A server of Isaac-GR00T (N1.5 to N1.7). Keys are those of its modality configuration: video.NAME,
# state.NAME, and annotation... for the instruction.
title = "GR00T server"
driver = "groot"
rate_hz = 20.0
horizon = 16
execute = 8
execution = "switch"

[options]
host = "127.0.0.1"
port = 5555
# Its actions come by name: this is their order, which is that of `action.parts` below.
actions = {json.dumps([name for name, _ in _groot_parts(cell)])}

[observation]
prompt = "annotation.human.task_description"
{images}{states}
# Actions come in physical units: no statistics.
[action]
parts = {json.dumps([part for _, part in _groot_parts(cell)])}
convention = "absolute"
"""


def _starvla(cell: TemplateCell) -> str:
    images = "".join(_image(camera, camera) for camera in cell.cameras)
    return f"""\
# A server of StarVLA. It gets the pictures in their order, one text, and the numbers behind one another:
# the keys do not matter.
title = "StarVLA server"
driver = "starvla"
rate_hz = 10.0
horizon = 16
execute = 8
execution = "switch"

[options]
host = "127.0.0.1"
port = 10093
# Statistics by which the server makes physical units of its actions; empty: its only ones.
unnorm_key = ""

[observation]
prompt = "lang"
{images}
# Leave the state out for checkpoints that were trained without one.
[[observation.states]]
key = "state"
parts = {_parts(cell, "ee", "gripper")}
rotation = "axis_angle"

# Small motions of the tool along the axes of the arm's base. For servers that send normalised actions, set
# options.actions = "normalized_actions" and add the statistics of the training:
# statistics = {{ kind = "quantiles", file = "dataset_statistics.json", entry = "DATASET/action" }}
[action]
parts = {_parts(cell, "ee", "gripper")}
convention = "delta"
rotation = "axis_angle"
frame = "base"
closed = 0.0
opened = 1.0
"""


def _lerobot(cell: TemplateCell) -> str:
    images = "".join(
        _image(f"observation.images.{camera}", camera, 'layout = "CHW"\nvalues = "unit"')
        for camera in cell.cameras
    )
    return f"""\
# A checkpoint of LeRobot, in a process of its own that has LeRobot's packages. Keys are LeRobot's features.
title = "LeRobot policy"
driver = "lerobot"
rate_hz = 30.0
horizon = 100
execute = 50
execution = "switch"

[options]
# A folder with config.json and model.safetensors, or a name on the hub.
checkpoint = "outputs/train/act/checkpoints/last/pretrained_model"
# The interpreter that has LeRobot.
python = "~/lerobot/.venv/bin/python"

[observation]
# Leave it empty for policies that read no text (ACT, Diffusion).
prompt = "prompt"
{images}
[[observation.states]]
key = "observation.state"
parts = {_parts(cell, "joints", "gripper")}

# LeRobot's own post-processors make physical units: no statistics.
[action]
parts = {_parts(cell, "joints", "gripper")}
convention = "absolute"
"""


def _qwen_vla(cell: TemplateCell) -> str:
    keys = {"ego": cell.scene}
    for side, (arm, _) in zip(("left", "right"), cell.arms, strict=False):
        if cell.wrist(arm):
            keys[f"cam_{side}_wrist"] = cell.wrist(arm)
    images = "".join(_image(key, camera) for key, camera in keys.items() if camera)
    pair = TemplateCell(cell.arms[:2], cell.cameras)
    count = len(pair.arms)
    low = [-0.15, -0.15, -0.15, -0.5, -0.5, -0.5, 0.0] * count
    high = [0.15, 0.15, 0.15, 0.5, 0.5, 0.5, 1.0] * count
    return f"""\
# A policy of the unified, padded layout, as Qwen-VLA: pictures and one text that tells the embodiment, no
# state; 32 channels of which the first are used.
title = "Unified padded layout"
driver = "openpi"
rate_hz = 20.0
horizon = 16
execute = 8
execution = "switch"

[options]
host = "127.0.0.1"
port = 8000

[observation]
prompt = "prompt"
# {{embodiment}} is station.embodiment of the station file.
template = "{{embodiment}} Control frequency: {{rate_hz}} Hz. Chunk size: {{horizon}}. Task: {{instruction}}"
{images}
# Each arm's tool relative to where it was when the pictures were taken, and the gripper.
[action]
parts = {_parts(pair, "ee", "gripper")}
convention = "chunk_delta"
rotation = "euler_xyz"
frame = "base"
width = 32

# q01 and q99 of the training. These are placeholders: a wrong range scales every motion. A file of the
# training beside this one will do as well: file = "stats.json".
[action.statistics]
kind = "quantiles"
low = {low}
high = {high}
"""


def _hold(cell: TemplateCell) -> str:
    return f"""\
# Stays where the robot is, to try everything around a policy.
title = "Hold still"
driver = "hold"
rate_hz = 20.0
horizon = 16
execute = 8
execution = "switch"

[observation]
prompt = ""

{_whole_vector(cell)}"""


def _scripted(cell: TemplateCell) -> str:
    return f"""\
# Solves the simulated tasks, and errs as often as it is told to (options.error_rate).
title = "Expert of the simulated tasks"
driver = "scripted"
rate_hz = 20.0
horizon = 16
execute = 8
execution = "switch"

[observation]
prompt = ""
truth = "truth"
task = "task"

{_whole_vector(cell)}"""


def _replay(cell: TemplateCell) -> str:
    return f"""\
# Does a recorded episode again.
title = "Episode again"
driver = "replay"
rate_hz = 20.0
horizon = 16
execute = 8
execution = "switch"

[options]
episode = "episodes/UUID.mcap"

[observation]
prompt = ""

{_whole_vector(cell)}"""


def _whole_vector(cell: TemplateCell) -> str:
    """Joints and grippers of all arms, seen and asked for: what the built-in policies take."""
    parts = _parts(cell, "joints", "gripper")
    return f"""\
[[observation.states]]
key = "state"
parts = {parts}

[action]
parts = {parts}
convention = "absolute"
"""


def _parts(cell: TemplateCell, *whats: str) -> str:
    return json.dumps([f"{arm}/{what}" for arm in cell.names for what in whats])


def _groot_parts(cell: TemplateCell) -> list[tuple[str, str]]:
    """GR00T's usual names of the parts."""
    return [
        pair
        for arm in cell.names
        for pair in ((f"{arm}_arm", f"{arm}/joints"), (f"{arm}_gripper", f"{arm}/gripper"))
    ]


def _image(key: str, camera: str, more: str = "", *, size: int = _PICTURE) -> str:
    text = f'\n[[observation.images]]\nkey = "{key}"\ncamera = "{camera}"\nwidth = {size}\nheight = {size}\n'
    return f"{text}{more}\n" if more else text


_TEMPLATES: dict[str, Callable[[TemplateCell], str]] = {
    "openpi": _openpi,
    "openpi-aloha": _openpi_aloha,
    "openpi-droid": _openpi_droid,
    "groot": _groot,
    "starvla": _starvla,
    "lerobot": _lerobot,
    "qwen-vla": _qwen_vla,
    "hold": _hold,
    "scripted": _scripted,
    "replay": _replay,
}
TEMPLATES: Sequence[str] = tuple(_TEMPLATES)
"""Names of the templates."""
