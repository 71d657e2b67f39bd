"""A dexterous hand in the control loop: follows the fingers of whoever holds the arm that carries it."""

from __future__ import annotations

from collections.abc import Sequence

from devices.protocols import HandDriver
from teleop_app.control.body_part import Part, Tick
from teleop_app.control.stream_rows import StreamRows
from teleop_app.core.config import HandSection, StationConfig
from teleop_app.core.errors import StationError
from teleop_app.core.geometry import Array
from teleop_app.core.types import InputSample, Resampling, SafetyFlag, StreamSetup
from teleop_app.mapping.hand import HandRange, HandRetargeter
from teleop_app.mapping.hand_calibration import HandRangeFinder
from teleop_app.safety.hand_limiter import HandLimiter
from teleop_app.safety.outcome import Intervention
from teleop_app.safety.watchdog import FollowerWatchdog, Freshness, InputWatchdog


class MovingHand(Part):
    """Drives one hand and tells `<hand>/sent` and `<hand>/measured`: its joints [rad].

    Args:
        device: The hand.
        section: Its section of the station file.
        config: The station file.

    Raises:
        ConfigError: The driver's joints cannot be driven by a person's hand.
    """

    def __init__(self, device: HandDriver, section: HandSection, config: StationConfig) -> None:
        super().__init__(section.name, device)
        rate_hz = float(config.control.rate_hz)
        self._device = device
        self._arm = section.arm
        self._retargeter = HandRetargeter(device.joint_names, device.limits, section.name)
        self._limiter = HandLimiter(device.limits, 1.0 / rate_hz)
        self._input = InputWatchdog(config.safety)
        self._feedback = FollowerWatchdog(config.safety)
        self._calibration: HandRangeFinder | None = None
        self._watched = ""
        self._moving = False
        names, frame = tuple(device.joint_names), section.name
        self._sent_rows = StreamRows(
            StreamSetup(f"{frame}/sent", "hand", names, "rad", frame, rate_hz, Resampling.PREVIOUS)
        )
        self._measured_rows = StreamRows(
            StreamSetup(f"{frame}/measured", "hand", names, "rad", frame, rate_hz)
        )

    @property
    def streams(self) -> Sequence[StreamRows]:
        """Sent, measured."""
        return self._sent_rows, self._measured_rows

    @property
    def at_rest(self) -> bool:
        """Whether nothing sent moves."""
        return not self._moving

    def move(self, tick: Tick) -> Sequence[Intervention]:
        """One tick."""
        state = self._device.read()
        complaint = self._feedback.complaint(self.name, None if state is None else state[1], tick.now_ns)
        if state is not None:
            self._measured_rows.add(state[1], state[0])
        if complaint or state is None:
            self.lose()
            return [Intervention(SafetyFlag.FOLLOWER_STALE, self.name, complaint)]
        if self._limiter.sent is None and not self._limiter.start(state[0]):
            text = f"The hand '{self.name}' reports a position that is not finite."
            return [Intervention(SafetyFlag.FOLLOWER_STALE, self.name, text)]
        target, notes = self._target(tick)
        before = self._limiter.sent
        sent = self._limiter.advance(target)
        self._moving = sent is not before and bool((sent != before).any())
        self._device.send(sent)
        self._sent_rows.add(tick.now_ns, sent)
        return notes

    def lose(self) -> None:
        """Begin where it is once it is back."""
        self._limiter.sent = None
        self._retargeter.reset()
        self._moving = False

    # Calibration.

    def start_calibration(self) -> None:
        """Watch a person's hand from now on, clutch or not; the robot's hand holds meanwhile."""
        self._calibration, self._watched = HandRangeFinder(), ""

    def watch(self, sample: InputSample) -> None:
        """See a sample of any source: the first one that tracks a hand for this arm is calibrated."""
        asked = sample.arms.get(self._arm)
        if self._calibration is None or asked is None or self._watched not in ("", sample.source):
            return
        if asked.hand is not None:
            self._watched = sample.source
        if self._watched:
            self._calibration.add(asked.hand, sample.capture_ns)

    def finish_calibration(self) -> tuple[HandRange, str]:
        """The range that was seen, in force from now on, and a remark.

        Raises:
            StationError: It was not started, or the motion does not tell the range.
        """
        watched, self._calibration = self._calibration, None
        if watched is None:
            raise StationError(
                f"The hand '{self.name}' is not being calibrated", next_step="Start with calibrate_hand_start"
            )
        found, remark = watched.result()
        self.set_range(found)
        return found, remark

    def set_range(self, hand_range: HandRange) -> None:
        """Use a person's range."""
        self._retargeter.set_range(hand_range)

    # Inside.

    def _target(self, tick: Tick) -> tuple[Array | None, list[Intervention]]:
        sample = tick.sample
        asked = sample.arms.get(self._arm) if sample is not None else None
        if sample is None or asked is None or self._arm not in tick.engaged or tick.stopped:
            self._retargeter.reset()
            return None, []
        if self._calibration is not None or asked.hand is None:
            return None, []
        age_ms = (tick.now_ns - sample.capture_ns) / 1e6
        if self._input.judge(sample.capture_ns, tick.now_ns) is not Freshness.FRESH:
            since = f"since {age_ms:.0f} ms"
            text = f"No good input of '{sample.source}' for the hand '{self.name}' {since}; it holds."
            return None, [Intervention(SafetyFlag.STALE_INPUT, self.name, text, (age_ms,))]
        if not asked.valid:
            return None, []
        target = self._retargeter.target(asked.hand, sample.capture_ns)
        if target is None:
            text = f"What '{sample.source}' sends for the hand '{self.name}' is not a hand; it holds."
            return None, [Intervention(SafetyFlag.NON_FINITE, self.name, text)]
        return target, []
