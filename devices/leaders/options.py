"""Settings of leader arms on servo buses."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from devices.driver import Options
from teleop_app.core.errors import ConfigError


class ClutchMode(StrEnum):
    """What engages a leader.

    SQUEEZE: its gripper, held fully closed for half a second. KEY: the command `engage`, from a key, a pedal
    or the window. ALWAYS: it engages by itself as soon as it is aligned, once.
    """

    SQUEEZE = "gripper-squeeze"
    KEY = "key"
    ALWAYS = "always"


class LeaderOptions(Options):
    """Settings of a leader arm.

    Attributes:
        port: Serial port; empty for the one of the adapter with `serial`.
        serial: Serial number of the adapter, which names the calibration; empty for that of `port`.
        ports: Where it has several arms: the port of each, by the arm that it leads.
        serials: Likewise the serial numbers.
        baud: Bit rate of the servos.
        layout: Arm, see docs/leader-arms.md.
        rate_hz: How often it is read.
        clutch: What engages it.
        gravity_compensation: Share of the arm's weight that its motors carry, 0 for none.
        max_current_a: Most that a motor gets for it [A].
        follow_speed_rad_s: Speed at which it is driven to the follower.
    """

    port: str = Field(default="", max_length=200)
    serial: str = Field(default="", max_length=120)
    ports: dict[str, str] = Field(default_factory=dict)
    serials: dict[str, str] = Field(default_factory=dict)
    baud: int = Field(default=1_000_000, ge=9600, le=4_500_000)
    layout: str
    rate_hz: float = Field(default=150.0, ge=20.0, le=500.0)
    clutch: ClutchMode = ClutchMode.SQUEEZE
    gravity_compensation: float = Field(default=0.0, ge=0.0, le=1.0)
    max_current_a: float = Field(default=0.9, gt=0.0, le=5.0)
    follow_speed_rad_s: float = Field(default=0.6, gt=0.0, le=2.0)

    def by_arm(self, name: str, arms: tuple[str, ...]) -> dict[str, tuple[str, str]]:
        """Port and serial number of the adapter of each arm, as given.

        Raises:
            ConfigError: Several arms share an adapter, one has none, or one is named that it does not lead.
        """
        strange = sorted({*self.ports, *self.serials} - set(arms))
        if strange:
            raise ConfigError(
                f"The options of {name!r} name the adapter of {strange[0]!r}",
                why=f"it leads {', '.join(arms)}",
            )
        if len(arms) == 1:
            arm = arms[0]
            return {arm: (self.ports.get(arm, self.port), self.serials.get(arm, self.serial))}
        found = {arm: (self.ports.get(arm, ""), self.serials.get(arm, "")) for arm in arms}
        without = [arm for arm, adapter in found.items() if adapter == ("", "")]
        if without:
            raise ConfigError(
                f"The leader {name!r} leads {len(arms)} arms, but the adapter of {without[0]!r} is not named",
                why="each leader arm has a bus of its own",
                next_step="Give `ports` or `serials` by arm, or name one arm in `arms`",
            )
        return found
