"""Headsets by OpenXR: one on a cable, through whatever runtime is active (SteamVR, Monado, ...)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from devices.driver import DeviceContext, Driver, DriverKind, vendor_module
from devices.protocols import Verification
from devices.vr.controllers import ControllerMapper
from devices.vr.haptics import PulseQueue
from devices.vr.head import HeadTrack
from devices.vr.openxr_session import OpenXrSession
from devices.vr.options import VrOptions
from devices.vr.protocol import HANDS, XrFrame
from teleop_app.core.clock import NS_PER_S
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Event, InputSample, StreamBatch, StreamSetup

NAME: Final = "openxr"


class OpenXrOptions(VrOptions):
    """Settings of the driver `openxr`."""


class Session(Protocol):
    """What runs the headset (`OpenXrSession`)."""

    runtime: str

    @property
    def focused(self) -> bool:
        """The runtime gives this program the controllers."""
        ...

    def frame(self, now_ns: int) -> XrFrame | None:
        """What headset and controllers do now; None while the session does not run."""
        ...

    def pulse(self, hand: str, strength: float, length_ms: int) -> None:
        """Let a controller vibrate."""
        ...

    def close(self) -> None:
        """End the session."""
        ...


class OpenXrHeadset:
    """A tethered headset as an input device. One thread.

    Args:
        context: Name, arms and station file.
        options: Settings.
        open_session: Opens the session.

    Raises:
        ConfigError: A controller shall drive an arm that is not there.
    """

    def __init__(
        self, context: DeviceContext, options: OpenXrOptions, open_session: Callable[[], Session]
    ) -> None:
        self._context = context
        self._clock = context.clock
        self._options = options
        self._open = open_session
        self._session: Session | None = None
        self._mapper = ControllerMapper(context.name, context.arms, options, context.config)
        self._head = HeadTrack(context.name)
        self._pulses = PulseQueue()
        self._driven = self._releasing = self._visible = self._cut_off = False
        self._failure: DeviceError | None = None
        self._frame_ns = 0
        self._cue_arms: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Source name in samples."""
        return self._context.name

    @property
    def verification(self) -> Verification:
        """As the driver says."""
        return DRIVER.verification

    def start(self) -> None:
        """Open a session with the active runtime.

        Raises:
            DeviceError: There is none, it cannot run without pictures, or no headset is connected.
        """
        self._close()
        self._failure = None
        self._session = self._open()
        self._frame_ns = self._clock.now_ns()

    def poll(self) -> InputSample | None:
        """What the controllers do now; once a sample that holds nothing when they were lost.

        Raises:
            DeviceError: The runtime or the headset has gone.
        """
        now_ns = self._clock.now_ns()
        if self._releasing:  # first of all: whatever was lost, the arms are let go of
            self._releasing = self._driven = False
            return self._mapper.nothing(now_ns)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._session is None:
            return None
        try:
            frame = self._session.frame(now_ns)
            if (pulse := self._pulses.take(now_ns)) is not None:
                for hand in pulse[2]:
                    self._session.pulse(hand, pulse[0], pulse[1])
        except DeviceError as error:
            self._close()
            self._failure = error
            return self.poll()
        if frame is None:
            asleep = self._driven and now_ns - self._frame_ns > self._options.asleep_s * NS_PER_S
            self._driven = self._driven and not asleep
            self._cut_off = self._cut_off or (asleep and any(self._mapper.held.values()))
            return self._mapper.nothing(now_ns) if asleep else None
        self._frame_ns, self._driven, self._visible, self._cut_off = now_ns, True, frame.visible, False
        self._head.take(frame)
        return replace(self._mapper.sample(frame, now_ns), device_ns=None)

    def cue(self, kind: str) -> None:
        """A haptic pulse in the hand that it is about, where that is known, else in both."""
        arm_of = self._mapper.arm_of
        hands = [hand for hand in HANDS if arm_of.get(hand) in self._cue_arms] or list(arm_of)
        self._pulses.play(kind, hands, self._clock.now_ns())

    def stop(self) -> None:
        """End the session. May be called twice."""
        self._close()

    # The station, the head, and what the process says.

    @property
    def topics(self) -> tuple[str, ...]:
        """Events, to know in which hand a pulse belongs."""
        return ("event",)

    def observe(self, value: object) -> None:
        """See a message of the station."""
        if isinstance(value, Event):
            arm = value.fields.get("arm")
            self._cue_arms = (arm,) if isinstance(arm, str) and arm else ()

    @property
    def streams(self) -> tuple[StreamSetup, ...]:
        """Where the head is."""
        return (self._head.setup,)

    def batches(self, sample: InputSample) -> Sequence[StreamBatch]:
        """The head's poses, a few at a time."""
        return self._head.batches(sample.capture_ns, sample.device_ns, self._clock.now_ns())

    @property
    def state(self) -> str:
        """`off`, `waiting`, `lost`, `driving` or `hidden`."""
        if self._session is None:
            return "off"
        if not self._driven:
            return "lost" if self._cut_off else "waiting"
        return "driving" if self._visible else "hidden"

    @property
    def sentence(self) -> str:
        """What is off; a headset that nobody has put on yet is not."""
        match self.state:
            case "lost":
                return "The headset fell asleep while it drove. The arms hold; put it on, then squeeze anew."
            case "hidden":
                return "The headset shows something else. The arms hold; close that, then squeeze anew."
        return ""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Frames lost."""
        return {"lost": float(self._mapper.lost)}

    @property
    def commands(self) -> Mapping[str, Callable[..., dict[str, Any]]]:
        """None of its own."""
        return {}

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
            self._releasing = True


def _make(context: DeviceContext, options: OpenXrOptions) -> OpenXrHeadset:
    xr = vendor_module("xr", NAME, NAME)
    return OpenXrHeadset(context, options, lambda: OpenXrSession(xr, context.name))


DRIVER = Driver(
    name=NAME,
    kind=DriverKind.INPUT,
    title="VR headset on a cable, by OpenXR (SteamVR, Monado)",
    verification=Verification.EMULATOR,
    proof="Monado, a real OpenXR runtime, with the controllers of its remote driver; no headset.",
    make=_make,
    options=OpenXrOptions,
    needs=("xr",),
    extra=NAME,
)
