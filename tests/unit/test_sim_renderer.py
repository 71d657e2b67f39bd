"""The simulated cameras, in a process of their own: OpenGL's platform is chosen once a process."""

import json
import os
import subprocess
import sys

import pytest

from devices.sim.gl_context import choose_backend
from teleop_app.core.errors import ConfigError, DeviceError

SCRIPT = r"""
import json, sys
import mujoco
import numpy as np
from devices.sim.cell import Cell
from devices.sim.model import CAMERA_NAMES
from devices.sim.render_probe import OPTIONS, probe
from devices.sim.renderer import CellRenderer
from teleop_app.core.errors import ConfigError, DeviceError

look = sys.argv[1]
cell = Cell(look, "pick-place", 0)
found = {}
with CellRenderer(cell.model, 320, 240) as renderer:
    images = {name: renderer.render(cell.qpos, name) for name in CAMERA_NAMES}
    found["shapes"] = [list(image.shape) for image in images.values()]
    found["spread"] = [float(image.std()) for image in images.values()]
    out = np.zeros((240, 320, 3), np.uint8)
    found["in_place"] = renderer.render(cell.qpos, "overhead", out) is out
    found["same"] = bool((out == images["overhead"]).all())
    # The red cube must be where the camera matrix says it is.
    x, y, z = cell.truth()["cube_red"][:3]
    position = cell.model.camera("overhead").pos
    matrix = renderer.intrinsics("overhead")
    ahead = position[2] - z - 0.02
    column = matrix[0, 0] * (x - position[0]) / ahead + matrix[0, 2]
    row = matrix[1, 1] * -(y - position[1]) / ahead + matrix[1, 2]
    found["cube"] = [int(value) for value in out[round(row), round(column)]]
    depth = np.zeros((240, 320), np.float32)
    renderer.render_posed("overhead", out, depth)
    found["depth_error"] = float(depth[round(row), round(column)] - ahead)
    data = mujoco.MjData(cell.model)
    data.qpos[:] = cell.qpos
    mujoco.mj_forward(cell.model, data)
    renderer.render_posed("front", out, depth)
    spot, turn = data.camera("front").xpos, data.camera("front").xmat.reshape(3, 3)
    matrix = renderer.intrinsics("front")
    errors = []
    for u, v in np.ndindex(16, 12):
        pixel = np.array([u * 20 + 10.5, v * 20 + 10.5, 1.0])
        ray = np.linalg.inv(matrix) @ pixel
        along = turn @ (ray * [1, -1, -1])
        hit = mujoco.mj_ray(cell.model, data, spot, along, None, 1, -1, np.zeros(1, np.int32))
        if hit > 0 and np.isfinite(depth[v * 20 + 10, u * 20 + 10]):
            errors.append(abs(hit * 1.0 - float(depth[v * 20 + 10, u * 20 + 10])))
    found["ray_errors"] = sorted(errors)
    found["refusals"] = []
    for call in (lambda: renderer.render(cell.qpos, "back"), lambda: renderer.render(np.zeros(3), "front")):
        try:
            call()
        except (ConfigError, DeviceError) as error:
            found["refusals"].append(str(error))
    found["device"] = renderer.device
renderer.close()
try:
    renderer.render(cell.qpos, "front")
except DeviceError as error:
    found["refusals"].append(str(error))
try:
    CellRenderer(cell.model, 4000, 3000)
except ConfigError as error:
    found["refusals"].append(str(error))
rich, poor = probe(look, 3, 1e9), probe(look, 3, 1e-9)
found["rich"] = [rich.width, rich.height, rich.fps, rich.fits, len(rich.ms_per_frame)]
found["poor"] = [poor.width, poor.height, poor.fps, poor.fits, len(poor.ms_per_frame)]
found["reason"] = poor.reason
print(json.dumps(found))
"""


@pytest.mark.parametrize("look", ["primitive", "viperx"])
def test_cameras_draw_and_the_probe_keeps_its_budget(look: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYOPENGL_PLATFORM", "MUJOCO_GL")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, look], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["shapes"] == [[240, 320, 3]] * 4
    assert min(found["spread"]) > 15, "no camera looks at a plain surface"
    assert found["in_place"] and found["same"]
    red, green, blue = found["cube"]
    assert red > 120 and green < 90 and blue < 90
    assert abs(found["depth_error"]) < 0.003
    middle = found["ray_errors"][len(found["ray_errors"]) // 2]
    assert middle < 0.003, "edges and visual meshes differ from the ray's, most pixels do not"
    assert len(found["ray_errors"]) > 50
    assert [text.split(",")[0] for text in found["refusals"]] == [
        "The simulated cell has no camera 'back'. Choose one of: overhead",
        "The simulated cameras cannot draw a state of shape (3",
        "The simulated cameras cannot draw: their renderer was closed.",
        "The simulated cameras cannot deliver 4000x3000: the largest size is 1280x960.",
    ]
    assert found["device"] != "unknown"
    assert found["rich"] == [640, 480, 30, True, 1]
    assert found["poor"] == [320, 240, 15, False, 2]
    assert "more than" in found["reason"]


def test_backend_follows_the_variable_and_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert choose_backend() == "osmesa"
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    with pytest.raises(ConfigError, match="MUJOCO_GL=glfw"):
        choose_backend()
    monkeypatch.delenv("MUJOCO_GL")
    monkeypatch.setattr("devices.sim.gl_context.ctypes.util.find_library", lambda name: None)
    with pytest.raises(DeviceError, match="libegl1"):
        choose_backend()
    monkeypatch.setattr(
        "devices.sim.gl_context.ctypes.util.find_library", lambda name: name if name == "OSMesa" else None
    )
    assert choose_backend() == "osmesa"
