"""Camera, picking, dragging, triangles and kinematics of the 3-D view, without a display."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.gl import gizmo, meshes
from ui.gl.camera import OrbitCamera
from ui.gl.gizmo import DragMode
from ui.gl.kinematics import KinematicScene, load_model
from ui.gl.trail import Trail

ARM = """
<mujoco>
  <worldbody>
    <geom name="table" type="plane" size="0.5 0.5 0.1"/>
    <geom name="room" type="box" size="3 0.1 3" pos="0 4 0"/>
    <body name="link" pos="0 0 0.1">
      <joint name="hinge" type="hinge" axis="0 0 1" range="-90 90"/>
      <geom name="bar" type="capsule" fromto="0 0 0 0.3 0 0" size="0.03"/>
      <geom name="hull" type="sphere" size="0.1" group="3"/>
      <site name="tcp" pos="0.3 0 0"/>
    </body>
    <body name="spare" pos="0 0 -5"><geom name="parked" type="box" size="0.1 0.1 0.1"/></body>
  </worldbody>
</mujoco>
"""

angle = st.floats(-3.0, 3.0)
small = st.floats(-1.0, 1.0)


@given(azimuth=angle, elevation=st.floats(-1.5, 1.5), x=small, y=small, z=small)
def test_the_ray_through_a_projected_point_hits_the_point(azimuth, elevation, x, y, z):
    camera = OrbitCamera(azimuth_rad=azimuth, elevation_rad=elevation, distance_m=4.0)
    point = np.array([x, y, z])
    pixel = camera.project(point, 800, 600)
    assert pixel is not None
    ray = camera.ray(*pixel, 800, 600)
    to_point = point - camera.eye
    np.testing.assert_allclose(ray, to_point / np.linalg.norm(to_point), atol=1e-6)


def test_a_point_behind_the_eye_has_no_pixel():
    camera = OrbitCamera()
    assert camera.project(camera.eye - camera.forward, 800, 600) is None


def test_orbit_never_turns_over_and_zoom_stays_in_bounds():
    camera = OrbitCamera()
    camera.orbit(0, 10_000)
    assert abs(camera.elevation_rad) < math.pi / 2
    camera.zoom(1000)
    assert camera.distance_m >= 0.1
    camera.zoom(-1000)
    assert camera.distance_m <= 20.0


def test_picking_takes_the_nearer_of_two_targets_and_misses_beside_them():
    camera = OrbitCamera()
    near, far = camera.target - 0.2 * camera.forward, camera.target + 0.2 * camera.forward
    targets = {"far": np.append(far, [1, 0, 0, 0]), "near": np.append(near, [1, 0, 0, 0])}
    assert gizmo.pick(camera, targets, 400, 300, 800, 600) == "near"
    assert gizmo.pick(camera, targets, 100, 100, 800, 600) is None


@given(dx=st.floats(-200, 200), dy=st.floats(-150, 150))
def test_dragging_in_the_plane_follows_the_mouse(dx, dy):
    camera = OrbitCamera()
    pose = np.append(camera.target, [1.0, 0, 0, 0])
    moved = gizmo.dragged(camera, pose, dx, dy, 600, DragMode.PLANE)
    pixel = camera.project(moved[:3], 800, 600)
    np.testing.assert_allclose(pixel, (400 + dx, 300 + dy), atol=1e-6)
    np.testing.assert_array_equal(moved[3:], pose[3:])


def test_dragging_for_depth_moves_along_the_view_only():
    camera = OrbitCamera()
    pose = np.append(camera.target, [1.0, 0, 0, 0])
    moved = gizmo.dragged(camera, pose, 50, -40, 600, DragMode.DEPTH)
    step = moved[:3] - pose[:3]
    assert np.dot(step, camera.forward) > 0
    np.testing.assert_allclose(np.cross(step, camera.forward), 0, atol=1e-12)


@given(dx=st.floats(-500, 500), dy=st.floats(-500, 500))
def test_turning_keeps_the_place_and_a_unit_quaternion(dx, dy):
    camera = OrbitCamera()
    pose = np.append(camera.target, [1.0, 0, 0, 0])
    turned = gizmo.dragged(camera, pose, dx, dy, 600, DragMode.ROTATE)
    np.testing.assert_array_equal(turned[:3], pose[:3])
    assert np.linalg.norm(turned[3:]) == pytest.approx(1.0)
    rotation = gizmo.rotation_of(turned[3:])
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)


@pytest.mark.parametrize(
    ("soup", "low", "high"),
    [
        (meshes.box(np.array([0.1, 0.2, 0.3])), (-0.1, -0.2, -0.3), (0.1, 0.2, 0.3)),
        (meshes.ellipsoid(np.array([0.1, 0.1, 0.1])), (-0.1, -0.1, -0.1), (0.1, 0.1, 0.1)),
        (meshes.capsule(0.1, 0.2), (-0.1, -0.1, -0.3), (0.1, 0.1, 0.3)),
        (meshes.cylinder(0.1, 0.2), (-0.1, -0.1, -0.2), (0.1, 0.1, 0.2)),
        (meshes.plane(0.5, 0.4), (-0.5, -0.4, 0), (0.5, 0.4, 0)),
    ],
    ids=["box", "sphere", "capsule", "cylinder", "plane"],
)
def test_primitives_fill_their_bounds_with_outward_unit_normals(soup, low, high):
    np.testing.assert_allclose(soup[:, :3].min(axis=0), low, atol=2e-3)
    np.testing.assert_allclose(soup[:, :3].max(axis=0), high, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(soup[:, 3:], axis=1), 1.0, atol=1e-5)
    if high[2] > 0:
        corners = soup.reshape(-1, 3, 6)
        centre = corners[:, :, :3].mean(axis=1)
        assert np.all(np.einsum("ij,ij->i", centre, corners[:, :, 3:].mean(axis=1)) > 0)


def test_thinning_keeps_the_shape_and_the_budget():
    ball = meshes.ellipsoid(np.array([0.1, 0.2, 0.3]))
    fewer = meshes.thin(ball, 0.3)
    assert 12 <= len(fewer) // 3 <= 0.3 * len(ball) // 3
    np.testing.assert_allclose(np.ptp(fewer[:, :3], axis=0), [0.2, 0.4, 0.6], rtol=0.25)


def test_the_scene_leaves_out_collision_shapes_and_walls_and_hides_parked_parts():
    scene = KinematicScene(load_model(ARM))
    names = [scene.model.geom(part.geom).name for part in scene.parts]
    assert names == ["table", "bar", "parked"]
    assert not scene.transforms()[2].any()


def test_kinematics_follow_the_joint():
    scene = KinematicScene(load_model(ARM))
    np.testing.assert_allclose(scene.site_pose("tcp")[:3], [0.3, 0, 0.1], atol=1e-9)
    assert scene.update(np.array([math.pi / 2]))
    np.testing.assert_allclose(scene.site_pose("tcp")[:3], [0, 0.3, 0.1], atol=1e-9)


def test_bad_states_are_refused_or_ignored():
    scene = KinematicScene(load_model(ARM))
    assert not scene.update(np.array([math.nan]))
    np.testing.assert_array_equal(scene.qpos, [0.0])
    with pytest.raises(ValueError, match="different model files"):
        scene.update(np.zeros(3))


@pytest.mark.parametrize(("degrees", "level"), [(0, 0.0), (80, None), (89.5, 2.0), (-90, 2.0)])
def test_a_joint_near_its_limit_is_noticed(degrees, level):
    scene = KinematicScene(load_model(ARM))
    scene.update(np.array([math.radians(degrees)]))
    found = scene.limit_levels()[0]
    assert 0 < found < 1 if level is None else found == level


def test_a_model_that_cannot_be_read_says_why():
    with pytest.raises(ValueError, match="XML"):
        load_model("<mujoco><nonsense/></mujoco>")


def test_the_trail_fades_forgets_and_breaks_at_a_jump():
    trail = Trail(duration_s=5.0)
    for n in range(10):
        trail.add(n * 1_000_000_000, np.array([0.01 * n, 0, 0]))
    points, fade = trail.faded(9_000_000_000)
    assert len(points) == 6
    assert fade[-1] == 1.0
    assert np.all(np.diff(fade) > 0)
    trail.add(10_000_000_000, np.array([2.0, 0, 0]))
    assert len(trail.faded(10_000_000_000)[0]) == 1
