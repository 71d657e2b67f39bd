"""Who drives: one client at a time."""

from __future__ import annotations

from dataclasses import dataclass

from teleop_app.core.clock import NS_PER_S


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lease.

    Attributes:
        client: Its pairing; the same headset may come back under another connection.
        connection: The connection that drives, 0 while it is away.
        away_ns: Since when it is away, 0 while it is there.
    """

    client: str
    connection: int
    away_ns: int = 0


class Lease:
    """The right to drive. It passes on when its holder lets go, hands it over, or was away too long.

    Args:
        keep_s: How long a holder that vanished keeps it.
    """

    def __init__(self, keep_s: float) -> None:
        self._keep_ns = round(keep_s * NS_PER_S)
        self._holder: Holder | None = None

    @property
    def holder(self) -> Holder | None:
        """Who has it, also while it is away."""
        return self._holder

    @property
    def connection(self) -> int:
        """The connection that drives, 0 for none."""
        return self._holder.connection if self._holder else 0

    def ask(self, client: str, connection: int, now_ns: int) -> bool:
        """Whether that connection drives from now on.

        A headset that comes back need not wait until its broken connection is noticed.
        """
        held = self._holder
        if held is not None and held.connection == connection:
            return True
        free = held is None or held.client == client or (not held.connection and self._over(held, now_ns))
        if free:
            self._holder = Holder(client, connection)
        return free

    def vanished(self, connection: int, now_ns: int) -> bool:
        """That connection broke; whether it was the one that drives."""
        held = self._holder
        if held is None or held.connection != connection:
            return False
        self._holder = Holder(held.client, 0, now_ns)
        return True

    def give_up(self, connection: int) -> bool:
        """That connection lets go; whether it was the one that drives."""
        if self.connection != connection or connection == 0:
            return False
        self._holder = None
        return True

    def take_back(self) -> int:
        """The operator takes it away from whoever has it; the connection that lost it, 0 for none."""
        lost, self._holder = self.connection, None
        return lost

    def expire(self, now_ns: int) -> bool:
        """Free it when its holder was away too long; whether that happened."""
        held = self._holder
        if held is None or held.connection or not self._over(held, now_ns):
            return False
        self._holder = None
        return True

    def _over(self, held: Holder, now_ns: int) -> bool:
        return now_ns - held.away_ns >= self._keep_ns
