"""Base and lift over the real control process and its sockets, ticked by hand on a fake clock."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from devices.driver import DeviceContext, DriverKind
from devices.followers.rings import VectorWriter, pack_state
from devices.registry import make_device
from devices.sim.arms import ARMS
from devices.sim.link import STATE_RING, sim_follower
from devices.sim.model import build_spec
from devices.testing.tracked_hand import FINGERS, tracked_hand
from teleop_app.app import station_bodies
from teleop_app.control.assembly import ArmDescription, build_control_loop
from teleop_app.control.cycle_timer import Cycle
from teleop_app.core.bus import Endpoints, Publisher, Subscriber
from teleop_app.core.calibration import CalibrationStore, HandCalibration
from teleop_app.core.clock import FakeClock
from teleop_app.core.config import HandSection, LiftSection, MobileBaseSection, StationConfig
from teleop_app.core.errors import ConfigError, DeviceError, StationError
from teleop_app.core.paths import DataDir
from teleop_app.core.planar import path
from teleop_app.core.types import Actor, ArmInput, Event, InputSample, StreamBatch, StreamSetup
from teleop_app.station.control import ControlProcess
from teleop_app.station.hand_ranges import HandRanges
from teleop_app.station.process import ProcessContext

DESCRIPTIONS = [
    ArmDescription(a.side, a.joint_names, a.gripper_name, a.tcp_site_name, a.home_q) for a in ARMS
]
HOME = np.array([value for arm in ARMS for value in (*arm.home_q, 1.0)])
PERIOD_S = 0.01
POSE = np.array([0.0, 1.0, -0.3, 1.0, 0.0, 0.0, 0.0])


class Headset:
    """A control process with base and lift, and a headset whose samples travel over its sockets."""

    def __init__(self, folder: Path) -> None:
        config = StationConfig(
            mobile_base=MobileBaseSection(driver="sim-base"),
            lift=LiftSection(driver="sim-lift"),
            hands=[HandSection(name="left_hand", arm="left", driver="sim-hand")],
        )
        config.control.realtime_priority = 0
        config.control.rate_hz = 100
        self.clock = FakeClock()
        endpoints = Endpoints(folder)
        context = ProcessContext("control", config, DataDir(folder), endpoints, folder / "rings", self.clock)
        follower = sim_follower(context.rings, self.clock)
        loop = build_control_loop(config, DESCRIPTIONS, build_spec("primitive"), [follower], self.clock)
        loop.bodies = station_bodies(context)
        self.loop = loop
        self.folder = folder
        self.process = ControlProcess(context, loop, [follower])
        self.process.open()
        self._physics = VectorWriter(context.rings, STATE_RING, 43)
        self._heard = Subscriber([endpoints.publish("control")])
        self._hand = Publisher(endpoints.inputs(), connect=True)
        self._seq = 0
        self.setups: dict[str, StreamSetup] = {}
        self.events: list[Event] = []
        self._batches: dict[str, list[StreamBatch]] = {}
        for _ in range(500):  # the sockets need a moment to find each other
            self.turn([0, 0, 0], clutch=False)
            self._heard.wait(0.002)
            if self.setups and self.loop._sources.by_name:
                return
        pytest.fail("the sockets did not find each other")

    def turn(self, twist=None, lift=0.0, clutch=True, sample=True, fingers=None, precise=False, source="vr"):
        now_ns = self.clock.now_ns()
        self._physics.write(pack_state(0.0, HOME, 0 * HOME, 0 * HOME), now_ns, 1)
        if sample:
            self._seq += 1
            arms = {"left": ArmInput(clutch, pose=POSE, hand=fingers, precise=precise)}
            asked = None if twist is None else np.array(twist, dtype=float)
            sent = InputSample(source, Actor.HUMAN, self._seq, now_ns, arms, base_twist=asked, lift_m_s=lift)
            self._hand.send("input", sent)
            self.process._inputs.wait(0.05)
        self.process.turn(Cycle(now_ns, now_ns, 0))
        self.hear()
        self.clock.advance(PERIOD_S)

    def turns(self, seconds, *args, **named):
        for _ in range(round(seconds / PERIOD_S)):
            self.turn(*args, **named)

    def hear(self):
        for _, value in self._heard.drain(1000):
            if isinstance(value, StreamSetup):
                self.setups[value.name] = value
            elif isinstance(value, StreamBatch):
                self._batches.setdefault(value.stream, []).append(value)
            elif isinstance(value, Event):
                self.events.append(value)

    def stream(self, name):
        """Stamps and rows of all that was heard; nothing may be missing in between."""
        self._heard.wait(0.05)
        self.hear()
        batches, seq = self._batches[name], None
        for batch in batches:
            assert seq in (None, batch.seq)
            seq = batch.seq + len(batch.capture_ns)
        stamps = np.concatenate([batch.capture_ns for batch in batches])
        assert (np.diff(stamps) > 0).all()
        return stamps, np.concatenate([batch.values for batch in batches])

    def close(self):
        self.process.close()
        for part in (self._heard, self._hand, self._physics):
            part.close()


@pytest.fixture
def headset():
    folder = Path(tempfile.mkdtemp())  # socket names are limited to 107 characters
    made = Headset(folder)
    yield made
    made.close()
    shutil.rmtree(folder)


def test_a_square_is_driven_told_and_adds_up_to_the_odometry(headset):
    corners = []
    for _ in range(4):
        headset.turns(0.9, [9.0, 0, 0])  # far above the limit
        headset.turns(1.0, [0, 0, 0])
        headset.turns(1.0, [0, 0, 0.6])
        headset.turns(0.9, [0, 0, 0])
        headset.turns(0.06, clutch=False)
        corners.append(headset.stream("base/measured")[1][-1, :3])
    assert set(headset.setups) == {
        *(f"base/{name}" for name in ("asked", "sent", "measured", "action")),
        "lift/sent",
        "lift/measured",
        "left_hand/sent",
        "left_hand/measured",
    }
    _, sent = headset.stream("base/sent")
    assert sent[:, 0].max() == pytest.approx(0.4)
    assert np.abs(np.diff(sent[:, 0])).max() <= 0.8 * PERIOD_S + 1e-9
    stamps, actions = headset.stream("base/action")
    measured_ns, measured = headset.stream("base/measured")
    went = path(actions)
    drove = np.array(corners)
    assert drove[-1, 2] == pytest.approx(4 * 0.6, abs=0.01)
    assert np.linalg.norm(drove[0, :2]) == pytest.approx(0.36, abs=0.01)
    # Measured lags by the 80 ms of the simulated base, so the two agree where it stands still.
    assert np.allclose(went[-1], drove[-1], atol=2e-3)
    at = np.searchsorted(measured_ns, stamps)
    lag = went - measured[np.minimum(at, len(measured) - 1), :3]
    assert np.abs(lag).max() < 0.1 * 0.8  # at most what it drives or turns within its time constant


def test_nothing_moves_without_the_clutch_and_the_lift_follows(headset):
    headset.turns(0.3, [0.4, 0, 0], lift=0.1, clutch=False)
    assert not headset.stream("base/sent")[1].any()
    assert not headset.stream("lift/sent")[1].any()
    assert headset.process._loop.at_rest
    before = headset.stream("lift/measured")[1][-1, 0]
    headset.turns(1.0, [0, 0, 0], lift=0.1)
    assert not headset.process._loop.at_rest
    headset.turns(1.0, clutch=False)
    lift = headset.stream("lift/measured")[1]
    assert lift[-1, 0] - before == pytest.approx(0.1, abs=0.01)
    assert lift[-1, 1] == pytest.approx(0.0, abs=1e-3)


def test_an_estop_brings_base_and_lift_to_rest_within_the_limits(headset):
    headset.turns(1.0, [0.4, 0, 0.8], lift=0.1)
    assert headset.stream("base/sent")[1][-1, 0] == pytest.approx(0.4)
    headset.process.estop("test")
    headset.turns(0.4 / 0.8 + 0.04, [0.4, 0, 0.8], lift=0.1)
    sent = headset.stream("base/sent")[1]
    assert not sent[-1].any()
    assert not headset.stream("lift/sent")[1][-1].any()
    stopping = sent[:, 0] < 0.4
    began = np.flatnonzero(~stopping)[-1]
    assert np.allclose(np.diff(sent[began : began + 50, 0]), -0.8 * PERIOD_S)
    headset.process.reset_estop()
    headset.turns(0.2, [0.4, 0, 0])  # the clutch is held still: no new edge
    assert not headset.stream("base/sent")[1][-1].any()


def test_one_source_drives_and_precision_mode_slows_it(headset):
    headset.turns(0.1, [0.0, 0, 0], clutch=False, source="other")
    headset.turns(0.6, [0.2, 0, 0], lift=0.1, precise=True)
    scale = headset.process._mapping.precision_scale
    assert headset.stream("base/sent")[1][-1] == pytest.approx([0.2 * scale, 0, 0])
    assert headset.stream("lift/sent")[1][-1] == pytest.approx(0.1 * scale)
    for _ in range(10):
        headset.turn([0.4, 0.4, 0.8], source="other")
        headset.turn([0.2, 0, 0], lift=0.1, precise=True)
    headset.turn(sample=False)
    assert headset.stream("base/sent")[1][-1] == pytest.approx([0.2 * scale, 0, 0])
    assert any(e.kind == "control.refused" and e.fields["source"] == "other" for e in headset.events)


def test_a_silent_headset_stops_the_base(headset):
    headset.turns(1.0, [0.4, 0, 0])
    headset.turns(0.1 + 0.5 + 0.05, sample=False)
    assert not headset.stream("base/sent")[1][-1].any()
    assert any(e.kind == "safety.stale_input" and e.fields["arm"] == "base" for e in headset.events)


def test_a_twist_that_is_not_finite_stops_the_base_and_is_said_once(headset):
    headset.turns(0.5, [0.2, 0, 0])
    headset.turns(0.3, [np.nan, 0, 0])
    assert not headset.stream("base/sent")[1][-1].any()
    told = [e.text for e in headset.events if e.kind == "safety.non_finite"]
    assert told == ["The velocity [nan, 0, 0] of 'vr' for the base is not 3 finite numbers; it stops."]
    assert np.isfinite(headset.stream("base/asked")[1]).all()


def test_a_base_that_is_lost_is_said_and_starts_from_rest(headset):
    headset.turns(1.0, [0.4, 0, 0], lift=0.1)
    headset.loop.bodies._parts[0].disconnect()
    headset.turns(0.1, [0.4, 0, 0], lift=0.1)
    headset.loop.bodies._parts[0].connect()
    headset.turns(0.05, [0.4, 0, 0], lift=0.1)
    assert 0.0 < headset.stream("base/sent")[1][-1, 0] <= 0.8 * 0.05 + 1e-9
    told = [e.text for e in headset.events if e.fields.get("arm") == "base"]
    assert told[0].startswith("The body 'base' is lost. The simulated base refused a velocity")


OPEN = tracked_hand({})
FIST = tracked_hand({f"{finger}_{joint}": 1.7 for finger in FINGERS for joint in ("mcp", "pip", "dip")})


def test_a_hand_closes_with_the_fingers_of_whoever_holds_its_arm(headset):
    headset.turns(0.3, fingers=FIST, clutch=False)
    assert not headset.stream("left_hand/sent")[1][:, 4:].any()
    headset.turns(0.2, fingers=OPEN)
    headset.turns(0.6, fingers=FIST)
    headset.turns(0.1)
    names = headset.setups["left_hand/sent"].values
    closed = [names.index(f"{finger}_{joint}") for finger in FINGERS for joint in ("mcp", "pip")]
    sent, measured = (headset.stream(f"left_hand/{each}")[1] for each in ("sent", "measured"))
    upper = np.array([1.5, 1.7] * 4)
    assert np.allclose(sent[-1, closed], upper, atol=0.01)
    assert np.allclose(measured[-1, closed], upper, atol=0.01)
    assert np.abs(np.diff(sent, axis=0)).max() <= 6.0 * PERIOD_S + 1e-9

    headset.turns(0.1, fingers=OPEN * np.nan)  # holds and says so
    headset.turns(0.4, fingers=OPEN, sample=False)
    assert np.allclose(headset.stream("left_hand/sent")[1][-1], sent[-1], atol=0.02)
    told = [e.text for e in headset.events if e.fields.get("arm") == "left_hand"]
    assert told[0] == "What 'vr' sends for the hand 'left_hand' is not a hand; it holds."


def test_the_range_of_a_persons_hand_is_measured_kept_and_put_in_force(headset):
    store = CalibrationStore(headset.folder)
    ranges = HandRanges(headset.loop.bodies, store)
    asked = ranges.commands["calibrate_hand_start"](hand="left_hand")
    assert asked["motion"].startswith("Open the hand wide, make a fist")
    for number in range(200):
        bent = 0.6 - 0.5 * np.cos(number * 4 * np.pi / 200)
        angles = {f"{finger}_{joint}": bent for finger in FINGERS for joint in ("mcp", "pip", "dip")}
        headset.turn(fingers=tracked_hand(angles), clutch=False)
    assert not headset.stream("left_hand/sent")[1][:, 4:].any()
    done = ranges.commands["calibrate_hand_finish"](hand="left_hand", person="ann")
    assert Path(done["path"]).name == "left_hand.ann.toml"
    assert "Thumb and index finger never met" in done["remark"]
    headset.turns(0.05, clutch=False)
    headset.turns(0.6, fingers=tracked_hand({"index_pip": 1.08}))
    index = headset.setups["left_hand/sent"].values.index("index_pip")
    assert headset.stream("left_hand/sent")[1][-1, index] == pytest.approx(1.7, abs=0.03)

    with pytest.raises(StationError, match="No range of bob is kept for the hand 'left_hand'"):
        ranges.use("left_hand", "bob")
    assert ranges.use("left_hand", "ann")["remark"] == done["remark"]
    with pytest.raises(StationError, match=r"There is no hand 'third'. Hands: left_hand"):
        ranges.start("third")
    with pytest.raises(StationError, match="'left_hand' is not being calibrated"):
        ranges.finish("left_hand")
    kept = store.path(HandCalibration, "left_hand.ann")
    kept.write_text(kept.read_text().replace("thumb_ip", "elbow"))
    with pytest.raises(ConfigError, match="is of other angles than this version measures"):
        ranges.use("left_hand", "ann")


def test_an_estop_holds_the_hand(headset):
    headset.turns(0.2, fingers=OPEN)
    headset.turns(0.05, fingers=FIST)
    headset.process.estop("test")
    headset.turns(0.3, fingers=FIST)
    sent = headset.stream("left_hand/sent")[1]
    assert (sent[-29:] == sent[-1]).all()
    assert sent[-1].max() < 1.0


def made_for(context):
    store = CalibrationStore(context.data.calibrations)
    return DeviceContext("body", (), context.config, store, context.clock)


def test_the_watchdog_of_the_simulated_base_stops_it(tmp_path):
    context = ProcessContext(
        "control",
        StationConfig(mobile_base=MobileBaseSection(driver="sim-base")),
        DataDir(tmp_path),
        Endpoints(tmp_path),
        tmp_path,
        clock := FakeClock(),
    )
    base = make_device(DriverKind.BASE, "sim-base", made_for(context), {})
    assert base.read() is None
    with pytest.raises(DeviceError, match="it is not connected"):
        base.send(np.zeros(3))
    base.connect()
    with pytest.raises(DeviceError, match=r"\[nan, 0.0, 0.0\] is not 3 finite numbers"):
        base.send(np.array([np.nan, 0, 0]))
    base.send(np.array([0.4, 0, 0]))
    clock.advance(10.0)
    pose, velocity, _ = base.read()
    assert velocity == pytest.approx(np.zeros(3), abs=1e-5)
    assert pose[0] == pytest.approx(0.4 * 0.1, abs=1e-6)  # command_stale_ms, whatever the lag
    base.disconnect()
    base.disconnect()


def test_a_simulated_lift_ends_at_its_stops(tmp_path):
    config = StationConfig(lift=LiftSection(driver="sim-lift"))
    context = ProcessContext("control", config, DataDir(tmp_path), Endpoints(tmp_path), tmp_path, FakeClock())
    lift = make_device(DriverKind.LIFT, "sim-lift", made_for(context), {"start_m": 0.49})
    lift.connect()
    for _ in range(100):
        lift.send(np.array([0.5]))
        context.clock.advance(0.01)
    assert lift.read()[0] == pytest.approx(0.5)


def test_a_body_that_does_not_fit_the_station_is_a_sentence(tmp_path):
    config = StationConfig(mobile_base=MobileBaseSection(driver="hovercraft"))
    context = ProcessContext("control", config, DataDir(tmp_path), Endpoints(tmp_path), tmp_path)
    with pytest.raises(ConfigError, match="There is no base driver 'hovercraft'"):
        station_bodies(context)
    config.mobile_base = MobileBaseSection(driver="sim-base", options={"lag_s": 5})
    with pytest.raises(ConfigError, match="The options of the base 'base' are wrong: lag_s: .*given 5"):
        station_bodies(context)
