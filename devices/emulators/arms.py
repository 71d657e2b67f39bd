"""Which servos known arms are made of, for their emulators.

Sources: the makers' bills of materials: TheRobotStudio SO-ARM100 (SO-101), the GELLO paper's build guide,
Trossen Robotics' X-series arms (IDs 3 and 5 are the second motors of shoulder and elbow).
"""

from __future__ import annotations

STS3215 = 777
XL330_M288, XL330_M077 = 1200, 1190
XL430, XM430, XM540 = 1060, 1020, 1120

FEETECH_ARMS = {"so101": dict.fromkeys(range(1, 7), STS3215)}
DYNAMIXEL_ARMS = {
    "gello": {**dict.fromkeys(range(1, 8), XL330_M288), 8: XL330_M077},
    "gello-ur": {**dict.fromkeys(range(1, 7), XL330_M288), 7: XL330_M077},
    "viperx": {**dict.fromkeys(range(1, 8), XM540), 8: XM430, 9: XM430},
    "widowx": {**dict.fromkeys(range(1, 8), XM430), 8: XL430, 9: XL430},
}
