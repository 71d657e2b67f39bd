"""What control and station know of devices: these protocols and nothing else.

`Follower` is what control sees: nothing in it blocks. Drivers of real robots are `FollowerDriver`s: they may
block for a bus cycle, and run in a process of their own, which links them to control.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from devices.cameras.source import CameraFormat, Image
from teleop_app.core.types import AudioBlock, InputSample, StreamBatch, StreamSetup

Array = NDArray[np.float64]


class Verification(StrEnum):
    """How far a driver has been proven. Shown beside its name."""

    HARDWARE = "hardware-verified"
    EMULATOR = "emulator-verified"
    IMPORT_ONLY = "import-only"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class FollowerState:
    """What a follower reports.

    Attributes:
        position: Joint vector of its arms: joints [rad], gripper 0..1 last, shape (n,).
        velocity: [rad/s], gripper [1/s], shape (n,).
        effort: [N m], gripper [N], shape (n,).
        capture_ns: When it was so, host clock.
    """

    position: Array
    velocity: Array
    effort: Array
    capture_ns: int


class Follower(Protocol):
    """A robot that follows joint targets. Used from one thread; no call blocks longer than a tick."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the joint vector, `arm/joint`, grippers included."""
        ...

    @property
    def verification(self) -> Verification:
        """How far this driver is proven."""
        ...

    def connect(self) -> None:
        """Open the device.

        Raises:
            DeviceError: It cannot be reached.
        """
        ...

    def read(self) -> FollowerState | None:
        """The newest state, None when none has arrived yet."""
        ...

    def send(self, target: Array) -> None:
        """Give the joint targets, shape (n,), to the device. Called by the safety supervisor alone."""
        ...

    def disconnect(self) -> None:
        """Leave the robot holding its place and close the device. May be called twice."""
        ...


class InputDevice(Protocol):
    """Something an operator moves. Polled by its own process at its own rate."""

    @property
    def name(self) -> str:
        """Source name in samples."""
        ...

    @property
    def verification(self) -> Verification:
        """How far this driver is proven."""
        ...

    def start(self) -> None:
        """Open the device.

        Raises:
            DeviceError: It cannot be reached.
        """
        ...

    def poll(self) -> InputSample | None:
        """The newest reading, or None when there is nothing new. Never blocks."""
        ...

    def cue(self, kind: str) -> None:
        """Give the hand a sign (haptic pulse) if the device can.

        Args:
            kind: `clutch`, `limit`, `stale`, `record`, `aligned`, `estop` or `help`.
        """
        ...

    def stop(self) -> None:
        """Close the device. May be called twice."""
        ...


@runtime_checkable
class Waiting(Protocol):
    """An `InputDevice` whose samples come by themselves, so that its process need not poll at a rate."""

    def wait(self, timeout_s: float) -> None:
        """Return as soon as `poll` has something new, at the latest after `timeout_s`."""
        ...


@runtime_checkable
class StationObserver(Protocol):
    """An `InputDevice` that looks at the station, e.g. to show its cameras or to follow its arms."""

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics of the station it wants, e.g. `tick`, `event`, `recorder`, `video/`."""
        ...

    def observe(self, value: object) -> None:
        """See a message of the station. From the thread that polls; must not block."""
        ...


@runtime_checkable
class Reporting(Protocol):
    """An `InputDevice` that tells more of itself than its samples, and can be asked for things."""

    @property
    def state(self) -> str:
        """One word for what it does; `waiting` while nobody uses it yet."""
        ...

    @property
    def sentence(self) -> str:
        """What is off and what to do now; empty while nothing is, also while it waits for a person."""
        ...

    @property
    def metrics(self) -> Mapping[str, float]:
        """Figures of its heartbeat beside rate and age."""
        ...

    @property
    def commands(self) -> Mapping[str, Callable[..., dict[str, Any]]]:
        """Further commands of its process, by name. Answered by the thread that polls; brief."""
        ...


@runtime_checkable
class Epochs(Protocol):
    """An `InputDevice` whose samples may come from one clock after another, e.g. of several headsets."""

    @property
    def clock_epoch(self) -> int:
        """Changes when the last sample's `device_ns` is of another clock than those before."""
        ...


@runtime_checkable
class Companions(Protocol):
    """An `InputDevice` that measures more than it asks of the robot, e.g. where the head is."""

    @property
    def streams(self) -> tuple[StreamSetup, ...]:
        """What else it measures."""
        ...

    def batches(self, sample: InputSample) -> Sequence[StreamBatch]:
        """What came with the sample that `poll` returned last; it now has its final `capture_ns`."""
        ...


class FollowerDriver(Protocol):
    """Drives one arm of a robot. Used from one thread of its own process; calls may block for a bus cycle."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of its joint vector, `arm/joint`, gripper last."""
        ...

    @property
    def rate_hz(self) -> float:
        """How often `send` and `read` are called, at most."""
        ...

    def connect(self) -> None:
        """Open the device and hold it where it is. Moves nothing.

        Raises:
            DeviceError: It cannot be reached, is not the expected one, or reports an alarm.
        """
        ...

    def read(self) -> FollowerState:
        """The state now.

        Raises:
            DeviceError: It did not answer, or reports an alarm.
        """
        ...

    def send(self, target: Array) -> None:
        """Joint targets, shape (n,): joints [rad], gripper 0..1 last. Finite, within the model's limits.

        Raises:
            DeviceError: It was refused.
        """
        ...

    def hold(self) -> None:
        """Stop where the arm is. Called when commands fail to come (the driver's watchdog) and at the end."""
        ...

    def disconnect(self) -> None:
        """Leave the robot holding and close the device. May be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """A picture of a real camera.

    Attributes:
        image: RGB, uint8 (height, width, 3), of the size that `open` returned.
        receive_ns: When it was available on this host, CLOCK_MONOTONIC.
        device_ns: The camera's own stamp, 0 when it has none.
        exposure_ns: How long it was exposed, 0 unknown.
        capture_ns: Middle of the exposure on CLOCK_MONOTONIC where the driver knows it, else 0.
        depth: uint16 (height, width) along the optical axis in the camera's pixels, 0 no reading.
    """

    image: Image
    receive_ns: int
    device_ns: int = 0
    exposure_ns: int = 0
    capture_ns: int = 0
    depth: NDArray[np.uint16] | None = None


class Camera(Protocol):
    """A real camera. `read` is called from a thread of its own."""

    def open(self, wanted: CameraFormat) -> CameraFormat:
        """Start it; returns what it delivers, which may differ from what was wanted.

        Raises:
            DeviceError: It cannot be reached, or delivers nothing usable.
        """
        ...

    @property
    def intrinsics(self) -> Array | None:
        """Camera matrix K [px], shape (3, 3), if the camera knows it. After `open`."""
        ...

    @property
    def depth_unit_m(self) -> float:
        """Metres of one count of its depth images, 0 without depth. After `open`."""
        ...

    def read(self, timeout_s: float) -> CameraFrame | None:
        """The next frame, None when none came in time. Blocks.

        Raises:
            DeviceError: The camera is lost.
        """
        ...

    def close(self) -> None:
        """Release the camera. May be called twice."""
        ...


class Sensor(Protocol):
    """Whatever measures numbers or sound. Used from one thread of its own process."""

    @property
    def streams(self) -> tuple[StreamSetup, ...]:
        """Its numeric streams. After `start`."""
        ...

    def start(self) -> None:
        """Open the sensor.

        Raises:
            DeviceError: It cannot be reached.
        """
        ...

    def read(self, timeout_s: float) -> list[StreamBatch | AudioBlock]:
        """What came since the last call; waits up to `timeout_s` for it.

        Raises:
            DeviceError: The sensor is lost.
        """
        ...

    def stop(self) -> None:
        """Close the sensor. May be called twice."""
        ...


@runtime_checkable
class SelfReporting(Protocol):
    """A `Sensor` that knows more about itself than what it delivers."""

    @property
    def remark(self) -> str:
        """A sentence when something is off just now (overload, zeroing refused), else empty."""
        ...

    @property
    def metrics(self) -> dict[str, float]:
        """Figures by name, e.g. `missed` samples and `refused` frames."""
        ...


@runtime_checkable
class Tareable(Protocol):
    """A `Sensor` whose present reading can be taken for zero."""

    def tare(self) -> None:
        """Take the coming readings for zero; a refusal shows as its remark. Does not block."""
        ...


class VelocityBody(Protocol):
    """A mobile base or lift that follows velocities. Never blocks; stops by itself when commands stop."""

    def connect(self) -> None:
        """Open it, at rest.

        Raises:
            DeviceError: It cannot be reached.
        """
        ...

    def read(self) -> tuple[Array, Array, int] | None:
        """Pose and velocity now, and their capture_ns; None before the first.

        Base: (x, y, yaw) [m, rad] by odometry and (vx, vy, wz) [m/s, rad/s] in the base frame.
        Lift: (height,) [m] and (speed,) [m/s].
        """
        ...

    def send(self, velocity: Array) -> None:
        """The velocity from now on, shape as in `read`. Called by the safety of the control process alone."""
        ...

    def disconnect(self) -> None:
        """Stop it and close. May be called twice."""
        ...


class HandDriver(Protocol):
    """A dexterous hand that follows joint positions. Never blocks."""

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of its joints."""
        ...

    @property
    def limits(self) -> tuple[Array, Array]:
        """Lower and upper joint limits [rad], shape (n,) each."""
        ...

    def connect(self) -> None:
        """Open it.

        Raises:
            DeviceError: It cannot be reached.
        """
        ...

    def read(self) -> tuple[Array, int] | None:
        """Joint positions [rad], shape (n,), and their capture_ns; None before the first."""
        ...

    def send(self, target: Array) -> None:
        """Joint targets [rad], shape (n,). Called by the safety of the control process alone."""
        ...

    def disconnect(self) -> None:
        """Leave it holding and close. May be called twice."""
        ...
