"""Who is connected and who of them drives; what each may say. Lives in the server's loop."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

from devices.vr.connection import Connection, Counters
from devices.vr.inbox import Arrived, Inbox, LetGo, StopPressed
from devices.vr.lease import Lease
from devices.vr.protocol import ProtocolError, decode_frame, decode_text, number
from teleop_app.core.clock import Clock

logger = logging.getLogger(__name__)


class Hall:
    """The connected clients.

    Args:
        inbox: Where frames of the one that drives go.
        lease_s: How long a client that vanished keeps the right to drive.
        clock: The station's clock.
    """

    def __init__(self, inbox: Inbox, lease_s: float, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._lease = Lease(lease_s)
        self._connections: dict[int, Connection] = {}
        self.counters = Counters()

    @property
    def connections(self) -> tuple[Connection, ...]:
        """All of them."""
        return tuple(self._connections.values())

    @property
    def driver(self) -> Connection | None:
        """Who drives."""
        return self._connections.get(self._lease.connection)

    def enter(self, connection: Connection) -> None:
        """A client came."""
        self._connections[connection.number] = connection
        self._tell_roles()

    def leave(self, connection: Connection) -> None:
        """A client went; if it drove, its arms are let go of at once, and it may come back for a while."""
        self._connections.pop(connection.number, None)
        if self._lease.vanished(connection.number, self._clock.now_ns()):
            self._inbox.put(LetGo())
        self._tell_roles()

    def frame(self, connection: Connection, payload: bytes) -> None:
        """Bytes of a client; those of one that watches are not looked at.

        Raises:
            ProtocolError: They are not a frame.
        """
        if connection.number != self._lease.connection:
            return
        now_ns = self._clock.now_ns()
        self._inbox.put(Arrived(decode_frame(payload), connection.number, now_ns))

    def text(self, connection: Connection, payload: str) -> None:
        """A JSON message of a client.

        Raises:
            ProtocolError: It is malformed or unknown.
        """
        message = decode_text(payload)
        match message["type"]:
            case "pong":
                connection.pong(int(number(message, "id")), self._clock.now_ns())
            case "drive":
                self._ask(connection)
            case "release":
                connection.asks_since_ns = 0
                if self._lease.give_up(connection.number):
                    self._inbox.put(LetGo())
                    self._pass_on()
                self._tell_roles()
            case "estop":
                logger.warning("emergency stop on the page of %s", connection.client.title)
                self._inbox.put(StopPressed())
                self._inbox.put(LetGo())  # the button is not held down
            case unknown:
                raise ProtocolError(f"a message of type {unknown[:20]!r} is not known")

    def hand_over(self) -> str:
        """The operator takes the lease from whoever has it, and gives it to who asked first; their title."""
        if self._lease.take_back():
            self._inbox.put(LetGo())
        self._pass_on()
        self._tell_roles()
        return self.driver.client.title if self.driver else ""

    def forget(self, clients: Collection[str]) -> None:
        """These clients are no longer paired: what they hold is free."""
        holder = self._lease.holder
        if holder is not None and holder.client in clients:
            if self._lease.take_back():
                self._inbox.put(LetGo())
            self._pass_on(clients)
        self._tell_roles()

    def tick(self) -> None:
        """Once a second: pings, and a lease whose holder stayed away."""
        now_ns = self._clock.now_ns()
        for connection in self.connections:
            connection.ping(now_ns)
        if self._lease.expire(now_ns):
            self._pass_on()
            self._tell_roles()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send to everybody."""
        for connection in self.connections:
            connection.send(message)

    def tell_driver(self, message: Mapping[str, Any]) -> None:
        """Send to the one that drives."""
        if self.driver is not None:
            self.driver.send(message)

    def _ask(self, connection: Connection) -> None:
        now_ns = self._clock.now_ns()
        before = self._lease.connection
        if self._lease.ask(connection.client.id, connection.number, now_ns):
            if before not in (0, connection.number):
                self._inbox.put(LetGo())
            connection.asks_since_ns = 0
            logger.info("%s drives", connection.client.title)
        elif not connection.asks_since_ns:
            connection.asks_since_ns = now_ns
        self._tell_roles()

    def _pass_on(self, but: Collection[str] = ()) -> None:
        waiting = [each for each in self.connections if each.asks_since_ns and each.client.id not in but]
        if waiting:
            self._ask(min(waiting, key=lambda each: each.asks_since_ns))

    def _tell_roles(self) -> None:
        driver = self.driver
        held = self._lease.holder is not None
        waiting = [each.client.title for each in self.connections if each.asks_since_ns]
        for connection in self.connections:
            connection.send(
                {
                    "type": "role",
                    "drives": connection is driver,
                    "driver": driver.client.title if driver else "",
                    "held": held,
                    "asks": bool(connection.asks_since_ns),
                    "waiting": waiting,
                    "clients": len(self._connections),
                }
            )
