"""What every driver of a mobile base, a lift or a hand must do. They are called within a control tick."""

from __future__ import annotations

import time

import numpy as np

from devices.driver import DriverKind
from devices.protocols import HandDriver, VelocityBody
from devices.testing.contract import DriverContract, eventually, refused, require, usual_time_s
from teleop_app.core.types import Array

LONGEST_CALL_S = 0.001
"""They share a tick of 5 ms with everything else of the control process."""


class _Velocity(DriverContract):
    """Suite for `devices.protocols.VelocityBody`. It moves the device.

    Attributes:
        speed: At which it is moved, in its first direction [m/s].
        stops_s: How long after the last command it may take to stand still [s].
        poses: Numbers of its pose and its velocity.
    """

    speed: float = 0.05
    stops_s: float = 2.0
    poses: int

    def test_disconnecting_is_always_allowed(self) -> None:
        """Before it is connected, and twice; then it connects again, at rest."""
        body = self._made()
        body.disconnect()
        body.connect()
        body.disconnect()
        body.disconnect()
        body.connect()
        self._still(body)
        body.disconnect()

    def test_it_is_moved_and_tells_so(self) -> None:
        """Pose and velocity are finite, stamped now, and follow the command; no call blocks."""
        body = self._open()
        before = self._state(body)
        command = np.zeros(self.poses)
        command[0] = self.speed
        for _ in range(40):
            body.send(command)
            time.sleep(0.01)
        after = self._state(body)
        require(after[2] > before[2], "capture_ns must grow")
        require(abs(after[2] - time.monotonic_ns()) < 5e8, "capture_ns must be of the host's clock, and new")
        require(after[0][0] - before[0][0] > 0.2 * self.speed * 0.4, "it does not move as it is told")
        require(after[1][0] > 0.2 * self.speed, "it moves and tells another velocity")
        for call, name in ((body.read, "read"), (lambda: body.send(command), "send")):
            usual = usual_time_s(call)
            require(usual < LONGEST_CALL_S, f"{name} takes {1e3 * usual:.1f} ms; nothing may block a tick")
        body.disconnect()

    def test_it_stops_by_itself_when_commands_stop(self) -> None:
        """Control may die at any moment: then nobody sends a zero."""
        body = self._open()
        command = np.zeros(self.poses)
        command[0] = self.speed
        for _ in range(20):
            body.send(command)
            time.sleep(0.01)
        deadline = time.monotonic() + self.stops_s
        while time.monotonic() < deadline and not self._stands(body):
            time.sleep(0.02)
        require(self._stands(body), f"it still moves {self.stops_s} s after the last command")
        body.disconnect()

    def test_nonsense_is_refused(self) -> None:
        """Velocities that are not finite or too few, and any before it is connected."""
        with refused("a velocity before it is connected"):
            self._made().send(np.zeros(self.poses))
        body = self._open()
        for bad in (np.full(self.poses, np.nan), np.full(self.poses, np.inf), np.zeros(self.poses + 1)):
            with refused(f"the velocity {bad.tolist()}"):
                body.send(bad)
        self._still(body)
        body.disconnect()

    def _made(self) -> VelocityBody:
        return self.make()

    def _open(self) -> VelocityBody:
        body = self._made()
        body.connect()
        return body

    def _state(self, body: VelocityBody) -> tuple[Array, Array, int]:
        pose, velocity, capture_ns = eventually(body.read, "it never tells where it is")
        shapes = (pose.shape, velocity.shape)
        require(shapes == ((self.poses,), (self.poses,)), f"pose and velocity have the shapes {shapes}")
        require(np.isfinite(pose).all() and np.isfinite(velocity).all(), "it tells what is not finite")
        return pose, velocity, capture_ns

    def _stands(self, body: VelocityBody) -> bool:
        return bool((np.abs(self._state(body)[1]) < 0.02 * self.speed).all())

    def _still(self, body: VelocityBody) -> None:
        require(self._stands(body), "it moves though nobody told it to")


class BaseContract(_Velocity):
    """Suite for a mobile base; see `devices.protocols.VelocityBody`."""

    kind = DriverKind.BASE
    poses = 3


class LiftContract(_Velocity):
    """Suite for a lift; see `devices.protocols.VelocityBody`. It goes up."""

    kind = DriverKind.LIFT
    poses = 1


class HandContract(DriverContract):
    """Suite for `devices.protocols.HandDriver`. It moves its first joint by a tenth of its range.

    Attributes:
        follows_s: How long it may take to get there [s].
    """

    kind = DriverKind.HAND
    follows_s: float = 3.0

    def test_its_joints_have_names_and_limits(self) -> None:
        """Unique names; limits that leave room."""
        hand = self._made()
        names, (lower, upper) = hand.joint_names, hand.limits
        require(names and len(set(names)) == len(names), f"joint names must be unique: {names}")
        require(lower.shape == upper.shape == (len(names),), "each joint has a lower and an upper limit")
        require(np.isfinite(lower).all() and np.isfinite(upper).all(), "limits must be finite")
        require((lower < upper).all(), "each lower limit lies below the upper one")

    def test_disconnecting_is_always_allowed(self) -> None:
        """Before it is connected, and twice; then it connects again."""
        hand = self._made()
        hand.disconnect()
        hand.connect()
        hand.disconnect()
        hand.disconnect()
        hand.connect()
        self._position(hand)
        hand.disconnect()

    def test_it_holds_until_it_is_told_and_then_follows(self) -> None:
        """Connecting moves nothing; no call blocks."""
        hand = self._open()
        before = self._position(hand)
        time.sleep(0.1)
        require(np.allclose(self._position(hand), before, atol=0.02), "it moves though nobody told it to")
        lower, upper = hand.limits
        target = np.clip(before, lower, upper)
        step = 0.1 * (upper[0] - lower[0])
        target[0] += step if target[0] + step <= upper[0] else -step
        deadline = time.monotonic() + self.follows_s
        while time.monotonic() < deadline and abs(self._position(hand)[0] - target[0]) > 0.2 * step:
            hand.send(target)
            time.sleep(0.01)
        require(abs(self._position(hand)[0] - target[0]) <= 0.2 * step, "it does not get where it is told")
        for call, name in ((hand.read, "read"), (lambda: hand.send(target), "send")):
            usual = usual_time_s(call)
            require(usual < LONGEST_CALL_S, f"{name} takes {1e3 * usual:.1f} ms; nothing may block a tick")
        hand.disconnect()

    def test_nonsense_is_refused(self) -> None:
        """Targets that are not finite or too few, and any before it is connected."""
        n = len(self._made().joint_names)
        with refused("a target before it is connected"):
            self._made().send(np.zeros(n))
        hand = self._open()
        for bad in (np.full(n, np.nan), np.zeros(n + 1)):
            with refused(f"the target {bad.tolist()}"):
                hand.send(bad)
        hand.disconnect()

    def _made(self) -> HandDriver:
        return self.make()

    def _open(self) -> HandDriver:
        hand = self._made()
        hand.connect()
        return hand

    def _position(self, hand: HandDriver) -> Array:
        position, _ = eventually(hand.read, "it never tells where it is")
        good = position.shape == (len(hand.joint_names),) and np.isfinite(position).all()
        require(good, f"its position {position.tolist()} is not one finite angle a joint")
        return position
