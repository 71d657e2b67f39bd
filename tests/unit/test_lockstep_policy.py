"""A policy with its policy file on the cell in lockstep: asked, delayed, executed, given back."""

from __future__ import annotations

import numpy as np
import pytest

from devices.sim.cell import Cell
from teleop_app.autonomy.policy_file import PolicyFile
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyAnswer, PolicyFacts, PolicyRequest
from teleop_app.core.types import Actor, ArmInput, AuthorityMode, AutonomyPhase, InputSample
from teleop_app.station.lockstep import LockstepCell
from teleop_app.station.lockstep_policy import LockstepPolicy

PARTS = ["left/joints", "left/gripper", "right/joints", "right/gripper"]


class Wave:
    """Raises every joint a little from where it is; closes the grippers."""

    def __init__(self) -> None:
        self.asked = self.resets = 0
        self.closed = False

    def open(self) -> PolicyFacts:
        return PolicyFacts("wave", "v2", horizon=8, action_dim=14, rate_hz=20.0)

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        self.asked += 1
        actions = np.tile(np.asarray(request.observation["state"], dtype=float), (8, 1))
        actions[:, [*range(6), *range(7, 13)]] += 0.005 * np.arange(8)[:, None]
        actions[:, [6, 13]] = 0.5
        return PolicyAnswer(actions)

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        self.closed = True


def policy_file(**changes) -> PolicyFile:
    given = {
        "name": "wave",
        "driver": "wave",
        "horizon": 8,
        "execute": 4,
        "observation": {"prompt": "", "states": [{"key": "state", "parts": PARTS}]},
        "action": {"parts": PARTS},
    }
    return PolicyFile.model_validate(given | changes)


@pytest.mark.parametrize("execution", ["sync", "switch", "ensemble", "rtc"])
def test_a_policy_drives_the_cell_after_its_delay(execution):
    rig, policy = LockstepCell(Cell("primitive", "pick-place", 0)), Wave()
    run = LockstepPolicy(rig, policy, policy_file(execution=execution), delay_s=0.1)
    start = run.last.sent.copy()
    run.drive(AuthorityMode.SUPERVISED)
    ticks = [run.tick() for _ in range(200)]
    first = next(k for k, tick in enumerate(ticks) if tick.actor is Actor.POLICY)
    assert first >= 19
    moved = ticks[-1].sent - start
    assert moved[:6].min() > 0.005 and moved[6] == pytest.approx(-0.5)
    assert policy.resets >= 1 and run.settings["delay_ms"] == 100.0
    driven = sum(tick.actor is Actor.POLICY for tick in ticks[first:])
    assert (driven < len(ticks) - first) == (execution == "sync"), "only sync rests between chunks"
    run.close()
    assert policy.closed


def test_a_person_takes_over_and_gives_back():
    rig, policy = LockstepCell(Cell("primitive", "pick-place", 0)), Wave()
    run = LockstepPolicy(rig, policy, policy_file(), delay_s=0.05)
    run.drive()
    for _ in range(60):
        run.tick()
    for k in range(40):
        pose = np.array([0.001 * k, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
        hand = ArmInput(clutch=0 < k < 30, pose=pose)
        tick = run.tick(InputSample("vr", Actor.HUMAN, k, rig.clock.now_ns(), {"left": hand}))
        if 0 < k < 30:
            assert tick.actor is Actor.HUMAN
    resets = policy.resets
    rig.loop.authority.resume(rig.clock.now_ns())
    phases = [run.tick().autonomy.phase for _ in range(60)]
    assert phases[0] is AutonomyPhase.RETURN and phases[-1] is AutonomyPhase.POLICY
    assert policy.resets == resets + 1


def test_a_policy_that_does_not_fit_is_refused():
    rig = LockstepCell(Cell("primitive", "pick-place", 0))
    with pytest.raises(PolicyError, match="does not fit the cell"):
        LockstepPolicy(rig, Wave(), policy_file(action={"parts": ["tail/joints"]}))
