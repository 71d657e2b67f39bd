"""OpenGL scene view: draws a MuJoCo model from joint positions, without MuJoCo's renderer.

Importing mujoco with `MUJOCO_GL=egl` or `osmesa` opens that platform at import and points
PyOpenGL at it, which breaks the context Qt made. This process only needs kinematics, so the
variable is hidden while mujoco is imported, and given back for the processes started from here.
"""

import os
import sys

if "mujoco" not in sys.modules:
    _requested = os.environ.pop("MUJOCO_GL", None)
    try:
        import mujoco  # noqa: F401
    finally:
        if _requested is not None:
            os.environ["MUJOCO_GL"] = _requested
