"""Contract suites that a driver, ours or a third party's, must pass. They need pytest.

Subclass the suite of your driver's kind in a test file, in a class whose name begins with `Test`, and say
how to make the device; pytest runs the rest. See docs/adding-a-device.md and docs/plugin-template/.
"""

from devices.testing.body_contract import BaseContract, HandContract, LiftContract
from devices.testing.camera_contract import CameraContract
from devices.testing.contract import run_contract
from devices.testing.follower_contract import FollowerContract
from devices.testing.input_contract import InputContract
from devices.testing.sensor_contract import SensorContract

__all__ = [
    "BaseContract",
    "CameraContract",
    "FollowerContract",
    "HandContract",
    "InputContract",
    "LiftContract",
    "SensorContract",
    "run_contract",
]
