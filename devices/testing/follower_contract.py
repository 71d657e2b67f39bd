"""What every driver of a robot arm must do."""

from __future__ import annotations

import time

import numpy as np

from devices.driver import DriverKind
from devices.protocols import FollowerDriver, FollowerState
from devices.testing.contract import PATIENCE_S, DriverContract, eventually, fail, refused, require
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Array


class FollowerContract(DriverContract):
    """Suite for `devices.protocols.FollowerDriver`. It moves the robot: by `step_rad`, in its first joint.

    Attributes:
        longest_call_s: `send` and `read` may block for a bus cycle; a usual call must be shorter [s].
        step_rad: How far it is moved [rad].
        still_rad: A joint that moves by less stands still [rad].
        follows_s: How long it may take to get there [s].
    """

    kind = DriverKind.FOLLOWER
    arms: tuple[str, ...] = ("left",)
    longest_call_s: float = 0.05
    step_rad: float = 0.05
    still_rad: float = 0.01
    follows_s: float = 5.0

    def test_its_joints_are_named(self) -> None:
        """`arm/joint`, unique; a rate."""
        driver = self._make()
        names = driver.joint_names
        require(names and len(set(names)) == len(names), f"joint names must be unique: {names}")
        require(all("/" in name for name in names), f"joints are named 'arm/joint', not {names}")
        require(0.0 < driver.rate_hz <= 2000.0, f"its rate is {driver.rate_hz} Hz")

    def test_disconnecting_is_always_allowed(self) -> None:
        """Before it is connected, and twice; then it connects again."""
        driver = self._make()
        driver.disconnect()
        driver.connect()
        driver.disconnect()
        driver.disconnect()
        driver.connect()
        driver.read()
        driver.disconnect()

    def test_connecting_moves_nothing(self) -> None:
        """It is held where it is."""
        driver = self._make()
        driver.connect()
        before = driver.read().position
        self._pass(driver, 0.3)
        moved = float(np.max(np.abs(driver.read().position - before)))
        require(moved <= self.still_rad, f"a joint moved by {moved:.3f} rad while it was only connected")
        driver.disconnect()

    def test_states_are_sound(self) -> None:
        """Shapes, finite numbers, times that go on."""
        driver = self._make()
        started_ns = time.monotonic_ns()
        driver.connect()
        first_ns = last_ns = driver.read().capture_ns
        require(first_ns > started_ns - 1_000_000_000, "capture_ns is no host time (CLOCK_MONOTONIC)")
        for _ in range(10):
            state = driver.read()
            _check_state(state, len(driver.joint_names))
            require(
                last_ns <= state.capture_ns <= time.monotonic_ns(), "capture_ns goes back, or is no host time"
            )
            last_ns = state.capture_ns
            time.sleep(1.0 / driver.rate_hz)
        require(last_ns > first_ns, "capture_ns stands still: each state is of its own time")
        driver.disconnect()

    def test_it_follows(self) -> None:
        """The first joint goes where it is sent, the others stay."""
        driver = self._make()
        driver.connect()
        start = driver.read().position
        target = start.copy()
        target[0] += self.step_rad * (-1.0 if start[0] > 0.0 else 1.0)
        self._send_until(driver, target)
        apart = np.abs(driver.read().position - start)
        require(np.all(apart[1:] <= self.still_rad), f"other joints moved as well: {apart.round(3)}")
        self._send_until(driver, start)
        driver.disconnect()

    def test_what_is_not_finite_is_refused(self) -> None:
        """And the robot stays where it is."""
        driver = self._make()
        driver.connect()
        start = driver.read().position
        for bad in (np.nan, np.inf, -np.inf):
            target = start.copy()
            target[0] = bad
            self._refused(driver, target, f"a target with {bad}")
        self._pass(driver, 0.2)
        after = driver.read().position
        moved = float(np.max(np.abs(after - start)))
        require(moved <= self.still_rad, f"it moved by {moved:.3f} rad on a target that is not finite")
        driver.disconnect()

    def test_targets_of_another_size_are_refused(self) -> None:
        """Too short, too long, none."""
        driver = self._make()
        driver.connect()
        start = driver.read().position
        for bad in (start[:-1], np.append(start, 0.0), np.zeros(0)):
            self._refused(driver, bad, f"a target of {len(bad)} values for {len(start)} joints")
        driver.disconnect()

    def test_holding_stops_it(self) -> None:
        """Half-way to a target, without further commands."""
        driver = self._make()
        driver.connect()
        start = driver.read().position
        target = start.copy()
        target[0] += self.step_rad * (-1.0 if start[0] > 0.0 else 1.0)
        driver.send(target)
        driver.hold()
        self._pass(driver, 0.3)
        before = driver.read().position
        self._pass(driver, 0.3)
        moved = float(np.max(np.abs(driver.read().position - before)))
        require(moved <= self.still_rad, f"it still moved by {moved:.3f} rad while it was to hold")
        driver.disconnect()

    def test_calls_do_not_block(self) -> None:
        """Longer than a bus cycle."""
        driver = self._make()
        driver.connect()
        target = driver.read().position
        spent: list[float] = []
        for _ in range(9):
            start = time.perf_counter()
            driver.send(target)
            driver.read()
            spent.append(time.perf_counter() - start)
        usual_s = float(np.median(spent))
        require(usual_s <= 2 * self.longest_call_s, f"send and read took {1e3 * usual_s:.1f} ms")
        driver.disconnect()

    def test_a_disconnected_robot_is_not_used(self) -> None:
        """Reading or sending is a mistake of the caller, and says so."""
        driver = self._make()
        driver.connect()
        target = driver.read().position
        driver.disconnect()
        with refused("read after disconnect"):
            driver.read()
        with refused("send after disconnect"):
            driver.send(target)

    def test_unplugging_is_said_and_it_comes_back(self) -> None:
        """With a sentence; connecting finds it again, and moves nothing."""
        driver = self._make()
        driver.connect()
        driver.read()
        self.unplug()
        self._until_lost(driver)
        driver.disconnect()
        with refused("connect without the device"):
            driver.connect()
        self.plug()
        eventually(
            lambda: _connects(driver), "the robot does not connect again after it was plugged in", 0.05
        )
        _check_state(driver.read(), len(driver.joint_names))
        driver.disconnect()

    # Inside.

    def _make(self) -> FollowerDriver:
        return self.make()

    def _pass(self, driver: FollowerDriver, seconds: float) -> None:
        """Let time pass, reading as its process does."""
        deadline = time.monotonic() + seconds
        while True:
            driver.read()
            if time.monotonic() >= deadline:
                return
            time.sleep(1.0 / driver.rate_hz)

    def _send_until(self, driver: FollowerDriver, target: Array) -> None:
        deadline = time.monotonic() + self.follows_s
        apart = np.inf
        while time.monotonic() < deadline:
            driver.send(target)
            time.sleep(1.0 / driver.rate_hz)
            apart = float(np.max(np.abs(driver.read().position - target)))
            if apart <= self.still_rad:
                return
        fail(f"it is still {apart:.3f} rad away from its target after {self.follows_s:g} s")

    def _refused(self, driver: FollowerDriver, target: Array, what: str) -> None:
        try:
            driver.send(target)
        except (DeviceError, ValueError):
            return
        fail(f"send must refuse {what}")

    def _until_lost(self, driver: FollowerDriver) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                driver.read()
            except DeviceError:
                return
            time.sleep(1.0 / driver.rate_hz)
        fail("a robot that is unplugged must raise a DeviceError from read")


def _check_state(state: FollowerState, count: int) -> None:
    for name in ("position", "velocity", "effort"):
        values = getattr(state, name)
        require(values.shape == (count,), f"{name} has the shape {values.shape}, there are {count} joints")
        require(np.all(np.isfinite(values)), f"{name} holds numbers that are not finite: {values}")


def _connects(driver: FollowerDriver) -> bool | None:
    try:
        driver.connect()
    except DeviceError:
        return None
    return True
