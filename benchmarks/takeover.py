"""Taking the robot over from a policy and giving it back: largest steps of the joints, and how soon.

Run: python -m benchmarks.takeover [--moments 1000] [--seizes 100] [--runs 1] [--markdown]

Steps: the simulated cell under its whole control loop on a clock of its own. A policy swings all joints; at a
random moment a hand that rests or moves squeezes the clutch, moves the arm, lets go, and the policy goes on.
Steps are looked at in all sent targets from the edge, or from the first tick of the policy, for 0.3 s.

Latency: a station's control process over its real sockets; this command is the policy process and the hand.
The clock runs from the capture of the first sample with the squeezed clutch to the first tick at which the
person drives.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import parser, positive, run
from benchmarks.figures import Figures, NotMeasuredError
from benchmarks.rig import bench_config, bench_station
from devices.sim.cell import Cell
from teleop_app.core.bus import Publisher, Subscriber
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.types import (
    Actor,
    ArmInput,
    AuthorityMode,
    AutonomyPhase,
    ControlTick,
    InputSample,
    PolicyChunk,
)
from teleop_app.station.client import StationClient
from teleop_app.station.lockstep import LockstepCell

_STEP_NS = 50 * NS_PER_MS
_STEPS = 16
_WINDOW_TICKS = 60
_EVERY_TICKS = 40
_DELAY_TICKS = 20
_WAIT_TICKS = 1200
_WAIT_S = 10.0
_GOAL_TICKS = 2.0


def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, runs=1)
    options.add_argument("--moments", type=positive, default=1000, help="seizes and returns, each run")
    options.add_argument("--seizes", type=positive, default=100, help="on a real station, each run")
    options.add_argument("--mode", default="supervised", choices=("supervised", "blended", "corrective"))
    return run("takeover", measure, options.parse_args(argv))


def measure(arguments: argparse.Namespace, folder: Path, figures: Figures) -> dict[str, Any]:
    """Steps in lockstep, then latency on a station."""
    mode = AuthorityMode(arguments.mode)
    for number in range(arguments.runs):
        _steps(arguments.moments, mode, number, figures)
    config = bench_config()
    with bench_station(folder, config) as station:
        for _ in range(arguments.runs):
            _latency(station.client, arguments.seizes, config.control.rate_hz, figures)
        station.check()
    return {"moments": arguments.moments, "seizes": arguments.seizes, "mode": mode.value}


class _SwingingPolicy:
    """Swings every joint on from where the robot was seen; answers some ticks after it looked."""

    def __init__(self, rig: LockstepCell, rng: np.random.Generator) -> None:
        self._rig = rig
        self._rng = rng
        self._home = rig.cell.read()[0].copy()
        self._chunks = self._ticks = 0
        self._pending: tuple[int, PolicyChunk] | None = None

    def attend(self, tick: ControlTick) -> None:
        """Look, or answer."""
        now_ns = self._rig.clock.now_ns()
        self._ticks += 1
        if self._pending is not None and self._ticks >= self._pending[0]:
            self._rig.loop.policy.offer(self._pending[1], now_ns)
            self._pending = None
        if self._ticks % _EVERY_TICKS == 0 and self._pending is None:
            self._chunks += 1
            policy_ns = tick.autonomy.policy_ns if tick.autonomy is not None else 0
            actions = swing(tick.sent, self._home, policy_ns, self._rng)
            chunk = chunk_of(self._chunks, actions, policy_ns, now_ns)
            self._pending = (self._ticks + _DELAY_TICKS, chunk)


def swing(seen: np.ndarray, home: np.ndarray, policy_ns: int, rng: np.random.Generator) -> np.ndarray:
    """A chunk of joint vectors from where the robot was seen, smooth, drawn back to home."""
    times = np.arange(_STEPS)[:, None] * (_STEP_NS / NS_PER_S)
    begin = policy_ns / NS_PER_S
    rate = 2 * np.pi / (1.2 + 0.3 * np.arange(len(seen)))
    wave = np.sin(rate * (begin + times)) - np.sin(rate * begin)
    actions = seen + 0.2 * wave + (home - seen) * np.minimum(1.0, 0.5 * times) + rng.normal(0.0, 1e-3)
    actions[:, 6::7] = np.clip(home[6::7] + 0.3 * wave[:, 6::7], 0.0, 1.0)
    return actions


def chunk_of(number: int, actions: np.ndarray, policy_ns: int, now_ns: int) -> PolicyChunk:
    """The message of it."""
    arms = ("left", "right")
    return PolicyChunk("bench", "1", number, now_ns, now_ns, policy_ns, _STEP_NS, actions, arms)


class _Sent:
    """Every joint target that was sent, and the largest steps in a window of it."""

    def __init__(self, rig: LockstepCell) -> None:
        self._joints = [i for i in range(len(rig.cell.joint_names)) if i % 7 != 6]
        self._period_s = 1.0 / rig.config.control.rate_hz
        self.rows: list[np.ndarray] = []

    def add(self, tick: ControlTick) -> None:
        self.rows = [*self.rows[-2 * _WINDOW_TICKS :], tick.sent[self._joints]]

    def steps(self, ticks: int) -> tuple[float, float, float]:
        """Largest velocity [rad/s], its largest step, and that of the acceleration [rad/s^2], a tick each."""
        rows = np.array(self.rows[-(ticks + 3) :])
        velocity = np.diff(rows, axis=0) / self._period_s
        changes = np.diff(velocity, axis=0)
        acceleration = changes / self._period_s
        largest = (velocity, changes, np.diff(acceleration, axis=0))
        fastest, faster, harder = (float(np.abs(each).max()) for each in largest)
        return fastest, faster, harder


def _steps(moments: int, mode: AuthorityMode, seed: int, figures: Figures) -> None:
    rng = np.random.default_rng(seed)
    rig = LockstepCell(Cell("primitive", "pick-place", seed))
    policy, sent = _SwingingPolicy(rig, rng), _Sent(rig)
    hand = _Hand(rng)
    found: dict[str, list[tuple[float, float, float]]] = {"seizing": [], "returning": []}
    tick = rig.tick()

    def advance(ticks: int) -> ControlTick:
        nonlocal tick
        for _ in range(ticks):
            policy.attend(tick)
            tick = rig.tick(hand.sample(rig.clock.now_ns()))
            sent.add(tick)
        return tick

    def until_policy() -> None:
        for _ in range(_WAIT_TICKS):
            part = advance(1).autonomy
            if part is not None and part.phase is AutonomyPhase.POLICY:
                return
        raise NotMeasuredError("The policy did not drive", why=tick.reason)

    rig.loop.authority.set_mode(mode, rig.clock.now_ns())
    until_policy()
    for _ in range(moments):
        advance(int(rng.integers(10, 120)))
        hand.squeeze()
        seized = advance(1)
        if seized.actor not in (Actor.HUMAN, Actor.BLEND):
            raise NotMeasuredError("A squeezed clutch did not seize the robot", why=seized.reason)
        advance(_WINDOW_TICKS - 1)
        found["seizing"].append(sent.steps(_WINDOW_TICKS))
        hand.release()
        advance(int(rng.integers(1, 40)))
        if mode is AuthorityMode.SUPERVISED:
            rig.loop.authority.resume(rig.clock.now_ns())
        until_policy()
        advance(_WINDOW_TICKS - 1)
        found["returning"].append(sent.steps(_WINDOW_TICKS))
    safety, period_s = rig.config.safety, 1.0 / rig.config.control.rate_hz
    slack = 1.0 + 1e-6
    for when, steps in found.items():
        fastest, faster, harder = np.max(np.array(steps), axis=0)
        ordinary = safety.max_joint_acceleration_rad_s2 * period_s * slack
        figures.add(
            f"{when}: largest velocity", "rad/s", fastest, at_most=safety.max_joint_velocity_rad_s * slack
        )
        figures.add(f"{when}: largest velocity step", "rad/s", faster, at_most=ordinary)
        jerk = safety.max_joint_jerk_rad_s3 * period_s * slack + 1e-4
        figures.add(f"{when}: largest acceleration step", "rad/s^2", harder, at_most=jerk)


class _Hand:
    """A hand that rests or moves evenly, and squeezes or not."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pose = np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        self._velocity = np.zeros(3)
        self._clutch = False
        self._arms: tuple[str, ...] = ("left",)
        self._seq = 0

    def squeeze(self) -> None:
        """Engage one arm or both, at rest or up to 0.4 m/s fast."""
        self._clutch = True
        self._velocity = self._rng.normal(0.0, 0.2, 3) * float(self._rng.random() > 0.3)
        self._arms = (("left",), ("right",), ("left", "right"))[int(self._rng.integers(3))]

    def release(self) -> None:
        self._clutch, self._velocity = False, np.zeros(3)

    def sample(self, now_ns: int) -> InputSample:
        self._seq += 1
        self._pose = self._pose.copy()
        self._pose[:3] += self._velocity * 0.005
        arms = {
            name: ArmInput(self._clutch and name in self._arms, pose=self._pose) for name in ("left", "right")
        }
        return InputSample("bench", Actor.HUMAN, self._seq, now_ns - NS_PER_MS, arms)


def _latency(client: StationClient, seizes: int, rate_hz: int, figures: Figures) -> None:
    rng = np.random.default_rng(0)
    period_ns = NS_PER_S / rate_hz
    chunks = Publisher(client.endpoints.inputs(), connect=True, queue=20)
    heard = client.subscribe(("tick",), ("control",))
    try:
        station = _Played(client, chunks, heard, rng)
        station.until(lambda _: True)
        client.call("control", "authority", mode="supervised")
        waited_ns: list[int] = []
        for _ in range(seizes):
            station.until(lambda tick: tick.actor is Actor.POLICY)
            station.until_s(0.1 + 0.3 * rng.random())
            pressed_ns = station.send(clutch=True)
            tick = station.until(lambda tick: tick.actor is Actor.HUMAN)
            waited_ns.append(tick.tick_ns - pressed_ns)
            station.until_s(0.05)
            station.send(clutch=False)
            station.until(lambda tick: tick.actor is Actor.NONE)
            client.call("control", "resume")
        client.call("control", "authority", mode="manual")
    finally:
        chunks.close()
        heard.close()
    ticks = np.array(waited_ns) / period_ns
    goals = {50: _GOAL_TICKS, 99: _GOAL_TICKS}
    figures.add_spread("key to human control", "ticks", ticks, goals)
    figures.add_spread("key to human control, time", "ms", np.array(waited_ns) / NS_PER_MS)


class _Played:
    """The policy process and the hand of a real station."""

    def __init__(
        self, client: StationClient, chunks: Publisher, heard: Subscriber, rng: np.random.Generator
    ) -> None:
        self._client, self._chunks, self._heard, self._rng = client, chunks, heard, rng
        self._home: np.ndarray | None = None
        self._number = self._seq = 0
        self._asked_ns = 0
        self._clutch = False
        self._sent_ns = 0

    def send(self, *, clutch: bool) -> int:
        """A sample of the hand; its capture time."""
        self._seq += 1
        self._clutch = clutch
        self._sent_ns = now_ns = time.monotonic_ns()
        arm = ArmInput(clutch, pose=np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]))
        self._client.send_input(InputSample("bench", Actor.HUMAN, self._seq, now_ns, {"left": arm}))
        return now_ns

    def until(self, wanted: Any) -> ControlTick:
        """Play until a tick is as wanted."""
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            for tick in self._ticks():
                if wanted(tick):
                    return tick
        raise NotMeasuredError("The station did not do what was asked", why=f"waited {_WAIT_S:g} s")

    def until_s(self, seconds: float) -> None:
        """Play so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._ticks()

    def _ticks(self) -> list[ControlTick]:
        self._heard.wait(0.02)
        ticks = [value for _, value in self._heard.drain() if isinstance(value, ControlTick)]
        now_ns = time.monotonic_ns()
        if now_ns - self._sent_ns > 10 * NS_PER_MS:
            self.send(clutch=self._clutch)
        if ticks and now_ns - self._asked_ns > 200 * NS_PER_MS:
            self._propose(ticks[-1], now_ns)
        return ticks

    def _propose(self, tick: ControlTick, now_ns: int) -> None:
        if self._home is None:
            self._home = tick.measured.copy()
        self._asked_ns = now_ns
        self._number += 1
        policy_ns = tick.autonomy.policy_ns if tick.autonomy is not None else 0
        actions = swing(tick.sent, self._home, policy_ns, self._rng)
        self._chunks.send("chunk", chunk_of(self._number, actions, policy_ns, now_ns))


if __name__ == "__main__":
    sys.exit(main())
