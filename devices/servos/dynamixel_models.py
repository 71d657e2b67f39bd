"""DYNAMIXEL X models: numbers, names and the unit of their current registers.

Source: ROBOTIS e-manual, pages of the models: Model Number (0), Present Current (126) or Present Load (126).
"""

from __future__ import annotations

MODELS = {
    1190: "XL330-M077",
    1200: "XL330-M288",
    1210: "XC330-T181",
    1220: "XC330-T288",
    1230: "XC330-M181",
    1240: "XC330-M288",
    1060: "XL430-W250",
    1090: "2XL430-W250",
    1070: "XC430-W150",
    1080: "XC430-W240",
    1160: "2XC430-W250",
    1020: "XM430-W350",
    1030: "XM430-W210",
    1120: "XM540-W270",
    1130: "XM540-W150",
    1000: "XH430-W350",
    1010: "XH430-W210",
    1040: "XH430-V350",
    1050: "XH430-V210",
    1100: "XH540-W270",
    1110: "XH540-W150",
    1140: "XH540-V270",
    1150: "XH540-V150",
}
LOAD_MODELS = {1060, 1090, 1070, 1080, 1160}
MILLIAMPERE_MODELS = {1190, 1200, 1210, 1220, 1230, 1240}
HIGH_VOLTAGE_MODELS = {1040, 1050}


def model_name(number: int) -> str:
    """Name of a model; the number where it is unknown."""
    return MODELS.get(number, f"model {number}")


def has_current_sensor(number: int) -> bool:
    """Whether it measures current and can be told one; the others report their load."""
    return number in MODELS and number not in LOAD_MODELS


def amperes_per_unit(number: int) -> float:
    """Unit of the current registers [A], or of the load register [share of 1]."""
    if not has_current_sensor(number) or number in MILLIAMPERE_MODELS:
        return 0.001
    return 0.00134 if number in HIGH_VOLTAGE_MODELS else 0.00269
