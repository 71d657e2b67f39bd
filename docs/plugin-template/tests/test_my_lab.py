"""The contract suites of teleop-app, on these devices."""

import socket

from devices.testing import InputContract, SensorContract
from teleop_my_lab import host_load, udp_hand


class TestUdpHand(InputContract):
    driver = udp_hand.DRIVER

    def setup_method(self) -> None:
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.options = {"port": self.port}

    def teardown_method(self) -> None:
        self.sender.close()

    def move(self) -> None:
        self.sender.sendto(b"0 0 0.02 0 0 0 1 0.5", ("127.0.0.1", self.port))


class TestHostLoad(SensorContract):
    driver = host_load.DRIVER
    options = {"rate_hz": 50.0}


def test_datagrams_that_are_not_sound_are_left_out() -> None:
    assert udp_hand.parse(b"1 2 3") is None
    assert udp_hand.parse(b"1 2 3 4 5 6 1 nan") is None
    assert udp_hand.parse(b"hello") is None
    assert udp_hand.parse(b"1 2 3 4 5 6 1 0") == [1, 2, 3, 4, 5, 6, 1, 0]
