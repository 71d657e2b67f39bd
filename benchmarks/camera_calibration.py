"""Lens and place of the simulated cell's wrist camera by a board in the cell, against the model; JSON.

Run `python -m benchmarks.camera_calibration [--views 40]`. The arm moves at random about its home posture;
MuJoCo draws what the camera on it sees; the link's pose comes from the joints. Truth is the model's camera.
"""

from __future__ import annotations

import argparse
import json

import mujoco
import numpy as np

from devices.cameras.camera_calibrator import CameraCalibrator
from devices.cameras.charuco import Board
from devices.cameras.hand_eye import MountKind
from devices.sim.arms import ARMS, JOINT_NAMES
from devices.sim.model import build_spec
from devices.sim.renderer import CellRenderer, camera_mount, intrinsics
from teleop_app.core.geometry import Array, make_pose, pose_compose, quat_angle, quat_from_rotvec
from teleop_app.station.link_poses import LinkPoses

CAMERA, WIDTH, HEIGHT = "left_wrist", 640, 480
SPREAD_RAD, MOST = 0.22, 400


def home_vector() -> Array:
    """Both arms at home, grippers closed."""
    return np.concatenate([[*arm.home_q, 0.0] for arm in ARMS])


def put_board(spec: mujoco.MjSpec, board: Board, world_T_board: Array) -> None:
    """Add the board to the cell as a textured sheet."""
    picture = board.picture(60)
    texture = spec.add_texture(
        name="board",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        width=picture.shape[1],
        height=picture.shape[0],
        nchannel=3,
    )
    texture.data = np.ascontiguousarray(np.repeat(picture[..., None], 3, axis=-1)).tobytes()
    material = spec.add_material(name="board", emission=0.6, specular=0.0)
    textures = list(material.textures)
    textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "board"
    material.textures = textures
    wide, high = board.columns * board.square_m, board.rows * board.square_m
    faces = [0, 2, 1, 0, 3, 2]
    spec.add_mesh(
        name="board",
        uservert=[0, 0, 0, wide, 0, 0, wide, high, 0, 0, high, 0],
        userface=faces,
        usertexcoord=[0, 0, 1, 0, 1, 1, 0, 1],
        userfacetexcoord=faces,
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    spec.worldbody.add_geom(
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname="board",
        material="board",
        pos=world_T_board[:3],
        quat=world_T_board[3:],
        contype=0,
        conaffinity=0,
    )


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, default=40)
    wanted = parser.parse_args().views
    board, home, rng = Board(), home_vector(), np.random.default_rng(1)
    spec = build_spec("primitive")
    model = spec.compile()
    link, mount = camera_mount(model, CAMERA)
    poses = LinkPoses(model, JOINT_NAMES, link)
    middle = make_pose(-np.array([4.5, 3.0, 0.0]) * board.square_m, np.array([1.0, 0.0, 0.0, 0.0]))
    ahead = make_pose(np.array([0.0, 0.0, 0.35]), quat_from_rotvec(np.array([0.3, 0.0, 0.0])))
    put_board(spec, board, pose_compose(pose_compose(poses.pose(home), mount), pose_compose(ahead, middle)))
    model = spec.compile()
    calibrator = CameraCalibrator(
        CAMERA, WIDTH, HEIGHT, board=board, mount=MountKind.ON_LINK, parent=link, settle=False
    )
    addresses = [model.joint(name).qposadr[0] for name in ARMS[0].joint_names]
    with CellRenderer(model, WIDTH, HEIGHT) as renderer:
        for _ in range(MOST):
            if len(calibrator.views) >= wanted:
                break
            vector, qpos = home.copy(), model.qpos0.copy()
            vector[: len(addresses)] += rng.normal(0.0, SPREAD_RAD, len(addresses))
            qpos[addresses] = vector[: len(addresses)]
            calibrator.offer(renderer.render(qpos, CAMERA), poses.pose(vector))
    result = calibrator.solve()
    truth = intrinsics(model, CAMERA, WIDTH, HEIGHT)
    found = np.array(result.calibration.matrix).reshape(3, 3)
    pose = np.array(result.calibration.parent_T_camera)
    figures = {
        "views": len(calibrator.views),
        "focal_error_percent": round(100 * float(abs(found[0, 0] / truth[0, 0] - 1)), 3),
        "reprojection_px": round(result.calibration.reprojection_px, 3),
        "place_error_mm": round(1e3 * float(np.linalg.norm(pose[:3] - mount[:3])), 2),
        "place_error_deg": round(float(np.rad2deg(quat_angle(pose[3:], mount[3:]))), 3),
        "verdicts": result.sentences,
    }
    print(json.dumps({"benchmark": "camera_calibration", **figures}))


if __name__ == "__main__":
    main()
