"""Settings of the headset's driver; described in docs/vr.md."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from devices.driver import Options

Action = Literal["record", "save", "discard", "redo", "undo", "next", "estop"]
Hand = Literal["left", "right"]
Key = Annotated[str, Field(pattern=r"^(left|right)\.(lower|upper|stick|touchpad|rest)$")]


def _default_actions() -> dict[str, Action]:
    return {"right.lower": "record", "right.upper": "save", "left.lower": "discard", "left.upper": "estop"}


class VrOptions(Options):
    """What headsets of every kind have in common.

    Attributes:
        arms: Arm that each controller drives; empty: `left` the arm of that name or the first, `right`
            likewise or the second.
        engage: Squeeze above which the clutch engages.
        release: Squeeze below which it lets go.
        actions: App action by button: `left.lower` is X, `left.upper` Y, `right.lower` A, `right.upper` B.
        precise: Button of each hand that turns precision mode on and off.
        hand_clutch: Bare hands: the pinch of thumb and middle finger that holds an arm is that of its `own`
            hand or of the `other` (which leaves the own fingers free to drive a dexterous hand).
        asleep_s: Silence after which the headset counts as asleep and the arms are let go of.
    """

    arms: dict[Hand, str] = Field(default_factory=dict)
    engage: float = Field(default=0.7, gt=0.0, le=1.0)
    release: float = Field(default=0.3, ge=0.0, lt=1.0)
    actions: dict[Key, Action] = Field(default_factory=_default_actions)
    precise: Literal["stick", "touchpad", "none"] = "stick"
    hand_clutch: Literal["own", "other"] = "own"
    asleep_s: float = Field(default=0.5, ge=0.1, le=10.0)

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.release >= self.engage:
            msg = f"release {self.release:g} must lie below engage {self.engage:g}"
            raise ValueError(msg)
        return self


class WebXrOptions(VrOptions):
    """Settings of the driver `webxr`.

    Attributes:
        host: Address to listen on; empty: every network of this host.
        port: Port to listen on; 0 takes a free one.
        names: Further names or addresses under which headsets reach this host, for the certificate.
        lease_s: How long a client that vanished keeps the right to drive.
        remember_days: How long a paired headset is remembered.
    """

    host: str = Field(default="", max_length=255)
    port: int = Field(default=8443, ge=0, le=65535)
    names: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]] = Field(
        default_factory=list, max_length=16
    )
    lease_s: float = Field(default=3.0, ge=0.5, le=60.0)
    remember_days: int = Field(default=30, ge=1, le=365)
