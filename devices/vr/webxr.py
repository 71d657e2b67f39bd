"""Headsets by WebXR: any headset with a browser drives the arms from a page that the station serves.

The page (`web/`) and the protocol are described in docs/vr.md.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from devices.driver import DeviceContext, Driver, DriverKind
from devices.protocols import Verification
from devices.vr.addresses import host_addresses, host_names, in_url
from devices.vr.controllers import ControllerMapper
from devices.vr.head import HeadTrack
from devices.vr.inbox import Arrived, Inbox, LetGo, StopPressed
from devices.vr.options import WebXrOptions
from devices.vr.station_view import StationView
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.types import CameraSetup, Event, InputSample, StreamBatch, StreamSetup, VideoPacket

if TYPE_CHECKING:
    from devices.vr.hall import Hall
    from devices.vr.pairing import Pairing
    from devices.vr.server import HeadsetServer, VideoService

logger = logging.getLogger(__name__)

FOLDER: Final = "headset"
"""Folder of key, certificate and paired headsets, in the store."""
_TELL_NS: Final = 100 * NS_PER_MS


class WebXrHeadset:
    """The headset page as an input device. The server has a thread of its own; everything else is one thread.

    Args:
        context: Name, arms, station file and store.
        options: Settings.

    Raises:
        ConfigError: A controller shall drive an arm that is not there.
    """

    def __init__(self, context: DeviceContext, options: WebXrOptions) -> None:
        self._context = context
        self._clock = context.clock
        self._options = options
        self._mapper = ControllerMapper(context.name, context.arms, options, context.config)
        self._view = StationView(context.name, self._mapper.arm_of)
        self._head = HeadTrack(context.name)
        self._inbox = Inbox()
        self._server: HeadsetServer | None = None
        self._hall: Hall | None = None
        self._pairing: Pairing | None = None
        self._video: VideoService | None = None
        self._fingerprint = self._note = ""
        self._urls: tuple[str, ...] = ()
        self._frame_ns = 0
        self._visible = self._asleep = self._driven = self._cut_off = False
        self._connection = 0
        self._told_ns = 0
        self._cue_arms: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Source name in samples."""
        return self._context.name

    @property
    def verification(self) -> Verification:
        """Proven with an emulated Quest in a real browser."""
        return Verification.EMULATOR

    def start(self) -> None:
        """Make or renew the certificate and serve the page.

        Raises:
            DeviceError: The port is busy, or key or certificate are not readable.
            StorageError: The store cannot be written.
        """
        if self._server is not None:
            return
        # Imported here: these take a quarter of a second, and whoever only lists drivers has no use for them.
        from devices.vr.certificate import ensure_certificate
        from devices.vr.hall import Hall
        from devices.vr.pairing import Pairing
        from devices.vr.server import HeadsetServer
        from devices.vr.video_hub import VideoHub

        options, clock = self._options, self._clock
        folder = self._context.calibrations.folder.parent / FOLDER
        addresses = host_addresses()
        names = tuple(dict.fromkeys((*host_names(), *options.names, *addresses)))
        certificate = ensure_certificate(folder, names, datetime.now(UTC))
        self._note, self._fingerprint = certificate.note, certificate.fingerprint
        if certificate.note:
            logger.info("%s", certificate.note)
        self._pairing = Pairing(folder / "paired.json", clock, time.time(), options.remember_days)
        self._hall = Hall(self._inbox, options.lease_s, clock)
        self._video = VideoHub()
        server = HeadsetServer(
            self._hall, self._pairing, certificate, names, clock, self._welcome(), self._video
        )
        server.start(options.host, options.port)
        self._server = server
        reached = (*options.names, *addresses) if options.host in ("", "0.0.0.0", "::") else (options.host,)  # noqa: S104
        self._urls = tuple(f"https://{in_url(each)}:{server.port}/" for each in reached)
        logger.info("the headset page is at %s, fingerprint %s", self._urls[0], self._fingerprint)

    def wait(self, timeout_s: float) -> None:
        """Return as soon as a frame is there, at the latest after `timeout_s`."""
        self._inbox.wait(timeout_s)

    def poll(self) -> InputSample | None:
        """The next sample; one that holds nothing when the headset is gone, asleep or handed over."""
        now_ns = self._clock.now_ns()
        self._tell(now_ns)
        item = self._inbox.take()
        match item:
            case Arrived(frame, connection, receive_ns):
                self._frame_ns, self._visible = receive_ns, frame.visible
                self._connection = connection
                self._asleep, self._driven, self._cut_off = False, True, False
                self._head.take(frame)
                return self._mapper.sample(frame, receive_ns)
            case LetGo():
                self._asleep = False
                self._cut_off = self._cut_off or any(self._mapper.held.values())
                return self._nothing(now_ns)
            case StopPressed():
                return self._nothing(now_ns, estop=True)
        if self._driven and now_ns - self._frame_ns > self._options.asleep_s * NS_PER_S:
            self._asleep = True
            return self._nothing(now_ns)
        return None

    @property
    def clock_epoch(self) -> int:
        """The connection that sent the last frame: each browser has a clock of its own."""
        return self._connection

    def cue(self, kind: str) -> None:
        """A haptic pulse in the hand that it is about, where that is known, else in both."""
        hands = [hand for hand, arm in self._mapper.arm_of.items() if arm in self._cue_arms]
        message = {"type": "cue", "kind": kind, "hands": hands or list(self._mapper.arm_of)}
        if self._server is not None and self._hall is not None:
            hall = self._hall
            self._server.post(lambda: hall.tell_driver(message))

    def stop(self) -> None:
        """Close the page. May be called twice."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()
            self._inbox.end()

    # The station, as the page shows it.

    @property
    def topics(self) -> tuple[str, ...]:
        """What the page shows: state, task, recording, warnings, and the cameras."""
        return ("tick", "event", "task", "recorder", "camera", "video/")

    def observe(self, value: object) -> None:
        """See a message of the station."""
        if isinstance(value, VideoPacket | CameraSetup):
            if self._video is not None and isinstance(value, VideoPacket):
                self._video.offer(value)
            elif self._video is not None and isinstance(value, CameraSetup):
                self._video.introduce(value)
            return
        if isinstance(value, Event):
            arm = value.fields.get("arm")
            self._cue_arms = (arm,) if isinstance(arm, str) and arm else ()
        self._view.observe(value)

    # The head.

    @property
    def streams(self) -> tuple[StreamSetup, ...]:
        """Where the head is."""
        return (self._head.setup,)

    def batches(self, sample: InputSample) -> Sequence[StreamBatch]:
        """The head's poses, a few at a time."""
        return self._head.batches(sample.capture_ns, sample.device_ns, self._clock.now_ns())

    # What the process says, and is asked.

    @property
    def state(self) -> str:
        """`off`, `waiting`, `connected`, `driving`, `hidden`, `asleep` or `lost`."""
        if self._server is None:
            return "off"
        if self._asleep:
            return "asleep"
        if self._driven:
            return "driving" if self._visible else "hidden"
        if self._hall and self._hall.connections:
            return "connected"
        return "lost" if self._cut_off else "waiting"

    @property
    def sentence(self) -> str:
        """What is off; a headset that nobody has put on yet is not."""
        match self.state:
            case "asleep":
                silent_s = (self._clock.now_ns() - self._frame_ns) / NS_PER_S
                return (
                    f"No frames from the headset for {_rounded(silent_s)}: it is asleep, taken off or out of "
                    "reach. The arms hold; put it on, then squeeze anew."
                )
            case "hidden":
                return "The headset shows its own menu. The arms hold; close the menu, then squeeze anew."
            case "lost":
                return (
                    "The headset's connection ended while it drove. The arms hold; open "
                    f"{self._urls[0]} in its browser again, then squeeze anew."
                )
        return ""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Frames lost, clients, latency and refused messages."""
        if self._hall is None:
            return {}
        driver, counters = self._hall.driver, self._hall.counters
        found = {
            "lost": float(self._mapper.lost + self._inbox.dropped),
            "clients": float(len(self._hall.connections)),
            "malformed": float(counters.malformed),
            "flooded": float(counters.flooded),
            "refused": float(counters.refused),
        }
        if driver is not None and driver.latency_ms >= 0:
            found["latency_ms"] = driver.latency_ms
        return {**found, **self._video.metrics} if self._video is not None else found

    @property
    def commands(self) -> Mapping[str, Callable[..., dict[str, Any]]]:
        """What Setup and Collect ask: how to pair, who is paired, and who drives."""
        return {"pairing": self.pairing, "revoke": self.revoke, "hand_over": self.hand_over}

    def pairing(self) -> dict[str, Any]:
        """Addresses, PIN, QR code and fingerprint for a new headset, and who is paired.

        `qr` holds the rows of the code's modules, each a text of `0` and `1`, quiet zone included.

        Raises:
            DeviceError: The page does not run.
        """
        import segno

        from teleop_app.core.errors import DeviceError

        server, pairing, hall = self._server, self._pairing, self._hall
        if server is None or pairing is None or hall is None:
            raise DeviceError("The headset page does not run", why=self.sentence)

        async def ask() -> dict[str, Any]:
            url = f"{self._urls[0]}#token={pairing.token()}"
            rows = ["".join(map(str, row)) for row in segno.make_qr(url).matrix_iter(border=4)]
            connected = {each.client.id for each in hall.connections}
            return {
                "url": self._urls[0],
                "urls": list(self._urls),
                "pin": pairing.pin,
                "qr_url": url,
                "qr": rows,
                "fingerprint": self._fingerprint,
                "note": self._note,
                "driver": hall.driver.client.title if hall.driver else "",
                "clients": [
                    {"id": each.id, "title": each.title, "connected": each.id in connected}
                    for each in pairing.clients
                ],
            }

        return server.call(ask)

    def revoke(self, client: str = "") -> dict[str, Any]:
        """Unpair a client by its id, or all; they are disconnected at once.

        Raises:
            DeviceError: The page does not run.
        """
        server = self._running()
        return {"revoked": server.call(lambda: server.revoke(str(client)))}

    def hand_over(self) -> dict[str, Any]:
        """Let the client drive that asks for it; the one that drives now watches from then on.

        Raises:
            DeviceError: The page does not run.
        """
        server, hall = self._running(), self._hall

        async def ask() -> str:
            return hall.hand_over() if hall else ""

        return {"driver": server.call(ask)}

    # Inside.

    def _running(self) -> HeadsetServer:
        from teleop_app.core.errors import DeviceError

        if self._server is None:
            raise DeviceError("The headset page does not run", why=self.sentence)
        return self._server

    def _nothing(self, now_ns: int, *, estop: bool = False) -> InputSample:
        self._driven = False
        return self._mapper.nothing(now_ns, estop=estop)

    def _welcome(self) -> dict[str, Any]:
        options = self._options
        return {
            "station": self._context.config.station.name,
            "boot": secrets.token_hex(4),
            "arms": self._mapper.arm_of,
            "actions": options.actions,
            "precise": options.precise,
            "engage": options.engage,
            "release": options.release,
            "video": True,
            "base": bool(self._context.config.mobile_base.driver),
            "lift": bool(self._context.config.lift.driver),
        }

    def _tell(self, now_ns: int) -> None:
        """Tell the clients what the station does, ten times a second."""
        if self._server is None or self._hall is None or now_ns < self._told_ns + _TELL_NS:
            return
        self._told_ns = now_ns
        hall, message = self._hall, self._view.message(self._mapper.held, self._mapper.precise)
        self._server.post(lambda: hall.tell(message))


def _rounded(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.0f} min"


def _make(context: DeviceContext, options: WebXrOptions) -> WebXrHeadset:
    return WebXrHeadset(context, options)


DRIVER = Driver(
    name="webxr",
    kind=DriverKind.INPUT,
    title="VR headset by its browser (Quest, Pico, Vision Pro)",
    verification=Verification.EMULATOR,
    proof="An emulated Quest in a real Chromium drives the simulated arms through this page; no headset.",
    make=_make,
    options=WebXrOptions,
)
