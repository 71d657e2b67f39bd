"""Which control of which controller does what in OpenXR: the profiles of the specification, section 6.4."""

from __future__ import annotations

from typing import Final

from devices.vr.protocol import HANDS

PROFILES: Final = "/interaction_profiles/"

POSES: Final = ("grip", "aim")
FLOATS: Final = ("trigger", "squeeze")
BUTTONS: Final = ("lower", "upper", "stick", "touchpad")
"""Named as in `devices.vr.protocol.BUTTONS`."""

_COMMON: Final = {"grip": "input/grip/pose", "aim": "input/aim/pose", "haptic": "output/haptic"}
_LEVELS: Final = {"trigger": "input/trigger/value", "squeeze": "input/squeeze/value"}
_STICK: Final = {"thumbstick": "input/thumbstick", "stick": "input/thumbstick/click"}
_AB: Final = {"lower": "input/a/click", "upper": "input/b/click"}
_XY: Final = {"lower": "input/x/click", "upper": "input/y/click"}
_TOUCH: Final = {
    "left": {**_COMMON, **_LEVELS, **_STICK, **_XY},
    "right": {**_COMMON, **_LEVELS, **_STICK, **_AB},
}
_CLICKED: Final = {**_COMMON, "trigger": "input/trigger/value", "squeeze": "input/squeeze/click"}


def _both(controls: dict[str, str]) -> dict[str, dict[str, str]]:
    return dict.fromkeys(HANDS, controls)


BINDINGS: Final[dict[str, dict[str, dict[str, str]]]] = {
    "oculus/touch_controller": _TOUCH,
    "bytedance/pico_neo3_controller": _TOUCH,
    "bytedance/pico4_controller": _TOUCH,
    "valve/index_controller": _both({**_COMMON, **_LEVELS, **_STICK, **_AB}),
    "htc/vive_controller": _both(
        {
            **_CLICKED,
            "thumbstick": "input/trackpad",
            "touchpad": "input/trackpad/click",
            "upper": "input/menu/click",
        }
    ),
    "microsoft/motion_controller": _both({**_CLICKED, **_STICK, "upper": "input/menu/click"}),
    "khr/simple_controller": _both({**_COMMON, "squeeze": "input/select/click", "upper": "input/menu/click"}),
}
"""Path of each action below the hand, by profile and hand. The simple controller only holds the arm."""

NEEDS: Final = {
    "bytedance/pico_neo3_controller": "XR_BD_controller_interaction",
    "bytedance/pico4_controller": "XR_BD_controller_interaction",
}
"""Extension that brings a profile, where the core does not."""


def hand_path(hand: str) -> str:
    """Top-level path of a hand."""
    return f"/user/hand/{hand}"
