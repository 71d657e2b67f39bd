"""The simulated base, lift and hand pass the suites of third parties, and broken ones do not."""

import pytest

from devices.sim.bodies import BASE, LIFT, SimBase
from devices.sim.hand import DRIVER, SimHand
from devices.testing import BaseContract, HandContract, LiftContract, run_contract


class TestSimBase(BaseContract):
    driver = BASE


class TestSimLift(LiftContract):
    driver = LIFT


class TestSimHand(HandContract):
    driver = DRIVER


class _Runaway(SimBase):
    """FAKE: a base without a watchdog of its own."""

    def read(self):
        self._motion._sent_ns = self._motion._clock.now_ns()
        return super().read()


class _Deaf(SimBase):
    """FAKE: a base that takes anything and does not move."""

    def send(self, velocity):
        pass


class _Jumpy(SimHand):
    """FAKE: a hand that closes when it is connected."""

    def connect(self):
        super().connect()
        self._target = self.limits[1]


@pytest.mark.parametrize(
    ("suite", "device", "checks"),
    [
        (BaseContract, _Runaway, {"test_it_stops_by_itself_when_commands_stop"}),
        (BaseContract, _Deaf, {"test_it_is_moved_and_tells_so", "test_nonsense_is_refused"}),
        (HandContract, _Jumpy, {"test_it_holds_until_it_is_told_and_then_follows"}),
    ],
)
def test_a_broken_body_fails_where_it_should(suite, device, checks):
    class Broken(suite):
        stops_s = 0.3
        follows_s = 0.3

        def make(self):
            context = self.context()
            if device is _Jumpy:
                return device(DRIVER.options(), context.clock)
            return device(BASE.options(), 100_000_000, context.clock)

    names = [name for name in dir(suite) if name.startswith("test_")]
    assert set(run_contract(Broken(), names)) == checks
