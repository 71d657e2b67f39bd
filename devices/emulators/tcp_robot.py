"""Serves an emulated robot's controller on its ports, from the command line with words that make faults."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class TcpRobot(Protocol):
    """What is served."""

    @property
    def sessions(self) -> set[socket.socket]:
        """Open connections; kept by the sessions."""
        ...

    def obey(self, words: Sequence[str]) -> bool:
        """A line of words from standard input; False ends the controller."""
        ...


class RobotServer(socketserver.ThreadingTCPServer):
    """One port of a controller.

    Attributes:
        robot: What its sessions talk for.
    """

    allow_reuse_address = True
    daemon_threads = True
    robot: Any


class RobotSession(socketserver.BaseRequestHandler):
    """One connection; it sends at once and can be cut."""

    server: RobotServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def setup(self) -> None:
        """Be known to the robot."""
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.robot.sessions.add(self.request)

    def finish(self) -> None:
        """Be forgotten."""
        self.server.robot.sessions.discard(self.request)

    def received(self) -> bytes:
        """What came, empty when the connection is over."""
        with contextlib.suppress(OSError):
            return self.request.recv(1 << 16)
        return b""


class Controller:
    """All ports of a controller on one address. Use as a context.

    Args:
        host: Address to serve on, e.g. another of 127.0.0.0/8 for each robot.
        robot: What is served.
        ports: What talks on each port.
    """

    def __init__(self, host: str, robot: TcpRobot, ports: Mapping[int, type[RobotSession]]) -> None:
        self.robot = robot
        self._host = host
        self._ports = ports
        self._servers: list[RobotServer] = []

    def __enter__(self) -> Controller:
        for port, session in self._ports.items():
            server = RobotServer((self._host, port), session)
            server.robot = self.robot
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            self._servers.append(server)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for session in list(self.robot.sessions):
            with contextlib.suppress(OSError):
                session.shutdown(socket.SHUT_RDWR)

    def serve(self, greeting: str) -> None:
        """Say the greeting, then obey standard input until it ends or a word ends it."""
        with self:
            print(greeting, flush=True)  # noqa: T201 - a command for people
            for line in sys.stdin:
                if not self.robot.obey(line.split()):
                    return
