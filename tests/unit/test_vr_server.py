"""The headset page's server against clients that are not what they should be: real TLS, real WebSockets."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from devices.driver import DeviceContext, DriverKind
from devices.protocols import Companions, Epochs, Reporting, StationObserver, Waiting
from devices.registry import find_driver, make_device
from devices.vr.certificate import ensure_certificate
from devices.vr.protocol import MAX_MESSAGE_BYTES, Controller, XrFrame, encode_frame
from devices.vr.server import COOKIE, WEB
from devices.vr.webxr import DRIVER, WebXrHeadset
from teleop_app.commands.headset import qr_lines
from teleop_app.core.calibration import CalibrationStore
from teleop_app.core.clock import MonotonicClock
from teleop_app.core.config import StationConfig
from teleop_app.core.errors import ConfigError, DeviceError, StorageError

POSE = np.array([0.1, 0.4, 1.2, 1.0, 0.0, 0.0, 0.0])


def context(folder: Path) -> DeviceContext:
    store = CalibrationStore(folder / "calibrations")
    return DeviceContext("headset", ("left", "right"), StationConfig(), store, MonotonicClock())


def frame(seq: int, squeeze: float = 0.0, resets: int = 0) -> bytes:
    right = Controller("right", POSE, POSE, None, 0.0, squeeze, (0.0, 0.0), frozenset())
    return encode_frame(XrFrame(seq, resets, (seq + 1) * 10_000_000, 0, True, POSE, {"right": right}))


@pytest.fixture(scope="module")
def headset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebXrHeadset]:
    found = make_device(
        DriverKind.INPUT, "webxr", context(tmp_path_factory.mktemp("s")), {"host": "127.0.0.1", "port": 0}
    )
    found.start()
    yield found
    found.stop()
    found.stop()


@pytest.fixture(autouse=True)
def nobody_is_paired(headset: WebXrHeadset) -> None:
    headset.revoke()
    while headset.poll() is not None:
        pass


class Client:
    """A program that speaks to the page."""

    def __init__(self, headset: WebXrHeadset, session: aiohttp.ClientSession) -> None:
        self.url = str(headset.pairing()["url"]).rstrip("/")
        self.headset = headset
        self.session = session

    async def pair(self) -> None:
        answer = await self.post("/pair", {"type": "pair", "pin": self.headset.pairing()["pin"]})
        assert answer.status == 200, await answer.text()
        held = answer.headers["Set-Cookie"]
        assert held.startswith(COOKIE)
        assert all(mark in held for mark in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/"))

    async def post(self, path: str, body: object, origin: str | None = None) -> aiohttp.ClientResponse:
        headers = {"Origin": self.url if origin is None else origin}
        return await self.session.post(self.url + path, json=body, headers=headers)

    async def open(self) -> aiohttp.ClientWebSocketResponse:
        return await self.session.ws_connect(self.url + "/ws", origin=self.url)

    async def drive(self) -> aiohttp.ClientWebSocketResponse:
        await self.pair()
        found = await self.open()
        await found.send_str('{"type": "drive"}')
        while not (message := await found.receive_json()).get("drives"):
            assert message["type"] != "role" or not message["driver"]
        return found


def with_client(headset: WebXrHeadset, work: Callable[[Client], Awaitable[Any]]) -> Any:
    """Run a conversation; the event loop is this test's own."""
    trust = ssl.create_default_context(cafile=str(folder_of(headset) / "certificate.pem"))
    trust.check_hostname = True  # the certificate holds the address: a pinned client needs no exception

    async def run() -> Any:
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address without a name
        connector = aiohttp.TCPConnector(ssl=trust, force_close=True)
        async with aiohttp.ClientSession(cookie_jar=jar, connector=connector) as session:
            result = await asyncio.wait_for(work(Client(headset, session)), 20.0)
        await asyncio.sleep(0.05)  # aiohttp's connections say good-bye
        return result

    return asyncio.run(run())


def folder_of(headset: WebXrHeadset) -> Path:
    return headset._context.calibrations.folder.parent / "headset"


async def closed(connection: aiohttp.ClientWebSocketResponse) -> tuple[int, str]:
    """Code and reason with which the station closed."""
    while True:
        message = await connection.receive(timeout=10.0)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return int(message.data), str(message.extra)
        assert message.type is not aiohttp.WSMsgType.CLOSED, connection.close_code


def taken(headset: WebXrHeadset) -> list[Any]:
    found = []
    while (sample := headset.poll()) is not None:
        found.append(sample)
    return found


def test_it_is_every_kind_of_device_that_it_should_be(headset: WebXrHeadset) -> None:
    for kind in (Waiting, StationObserver, Reporting, Epochs, Companions):
        assert isinstance(headset, kind)
    assert find_driver(DriverKind.INPUT, "webxr") is DRIVER
    assert "tick" in headset.topics


def test_who_is_not_paired_sees_the_pairing_page_and_nothing_else(headset: WebXrHeadset) -> None:
    async def work(client: Client) -> None:
        home = await client.session.get(client.url + "/")
        assert home.status == 200 and "default-src 'none'" in home.headers["Content-Security-Policy"]
        assert home.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert (await (await client.session.get(client.url + "/me")).json())["paired"] is False
        for path in ("/ws", "/video"):
            answer = await client.session.get(client.url + path, headers={"Origin": client.url})
            assert answer.status == 401
        for path in ("/../pairing.py", "/server.py", "/.env", "/%2e%2e/webxr.py"):
            assert (await client.session.get(client.url + path)).status == 404

    with_client(headset, work)


def test_every_file_of_the_page_is_served(headset: WebXrHeadset) -> None:
    async def work(client: Client) -> None:
        for file in WEB.iterdir():
            answer = await client.session.get(f"{client.url}/{file.name}")
            assert answer.status == 200 and await answer.read() == file.read_bytes(), file

    with_client(headset, work)


@pytest.mark.parametrize("origin", ["", "null", "https://evil.example", "http://127.0.0.1"])
def test_other_pages_may_neither_pair_nor_listen(headset: WebXrHeadset, origin: str) -> None:
    async def work(client: Client) -> None:
        body = {"type": "pair", "pin": headset.pairing()["pin"]}
        assert (await client.post("/pair", body, origin)).status == 403
        await client.pair()
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await client.session.ws_connect(client.url + "/ws", origin=origin)

    with_client(headset, work)


def test_a_foreign_host_name_is_refused(headset: WebXrHeadset) -> None:
    async def work(client: Client) -> None:
        answer = await client.session.get(client.url + "/me", headers={"Host": "evil.example"})
        assert answer.status == 421 and "Add the name to the headset's options" in await answer.text()

    with_client(headset, work)


def test_wrong_pins_lock(tmp_path: Path) -> None:
    device = make_device(DriverKind.INPUT, "webxr", context(tmp_path), {"host": "127.0.0.1", "port": 0})
    device.start()

    async def work(client: Client) -> list[str]:
        wrong = {"type": "pair", "pin": "nonsense"}
        said = [(await (await client.post("/pair", wrong)).json())["error"] for _ in range(6)]
        token = str(device.pairing()["qr_url"]).partition("#token=")[2]
        assert (await client.post("/pair", {"type": "pair", "token": token})).status == 200
        return said

    said = with_client(device, work)
    device.stop()
    assert said[0] == "This PIN is wrong. 4 more tries." and said[4].startswith("Too many wrong PINs.")
    assert "scan the QR code" in said[5] and device.metrics["refused"] == 6


@pytest.mark.parametrize("body", [[], {}, {"type": 1}, {"type": "pair", "pin": 123456}, "x" * 5000])
def test_nonsense_instead_of_a_pin_is_refused(headset: WebXrHeadset, body: object) -> None:
    async def work(client: Client) -> int:
        return (await client.post("/pair", body)).status

    assert with_client(headset, work) in (400, 403, 413)


def test_frames_become_samples_in_order_with_gaps_told(headset: WebXrHeadset) -> None:
    async def work(client: Client) -> None:
        connection = await client.drive()
        for seq in (0, 1, 2, 6, 7):
            await connection.send_bytes(frame(seq, squeeze=float(seq > 0)))
        await connection.send_str('{"type": "release"}')
        while (await connection.receive_json()).get("drives") is not False:
            pass
        await connection.close()

    with_client(headset, work)
    samples = taken(headset)
    steps = [b.seq - a.seq for a, b in pairwise(samples)]
    assert steps[:4] == [1, 1, 4, 1]
    assert [sample.arms["right"].clutch for sample in samples[:5]] == [False, True, True, True, True]
    assert not samples[-1].arms["right"].clutch and headset.metrics["lost"] >= 3
    assert headset.state == "lost" and "while it drove" in headset.sentence  # squeezed to the end


GOOD = frame(0)
NAN = bytearray(GOOD)
struct.pack_into("<f", NAN, 60, float("nan"))


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b"", 1008, "too short"),
        (b"\xff" * 60, 1008, "kind 255 is not known"),
        (GOOD[:70], 1008, "cut off"),
        (bytes(NAN), 1008, "not finite"),
        (b"\x00" * (MAX_MESSAGE_BYTES + 1), 1009, ""),
        ("{", 1008, "not JSON"),
        ('{"type": "fly"}', 1008, "'fly' is not known"),
        ('{"type": "pong", "id": "x"}', 1008, "id of a message is not a number"),
        ("\u2603" * 4000, 1009, ""),
    ],
    ids=str.split("empty junk cut nan huge json type number long"),
)
def test_malformed_messages_end_the_connection_with_a_reason_and_the_arms_are_let_go_of(
    headset: WebXrHeadset, message: bytes | str, code: int, reason: str
) -> None:
    before = headset.metrics["malformed"]

    async def work(client: Client) -> tuple[int, str]:
        connection = await client.drive()
        await connection.send_bytes(frame(0))
        await connection.send_bytes(frame(1, squeeze=1.0))
        if isinstance(message, bytes):
            await connection.send_bytes(message)
        else:
            await connection.send_str(message)
        ended = await closed(connection)
        await (await client.open()).close()  # others, and the same one, are welcome as before
        return ended

    ended = with_client(headset, work)
    assert ended[0] == code and reason in ended[1]
    assert headset.metrics["malformed"] == before + 1
    samples = taken(headset)
    assert samples[1].arms["right"].clutch and not samples[-1].arms["right"].clutch


def test_frames_of_those_who_watch_are_not_even_read(headset: WebXrHeadset) -> None:
    async def work(client: Client) -> None:
        driver = await client.drive()
        watcher = await client.open()
        await watcher.send_bytes(b"nonsense")
        await watcher.send_str('{"type": "pong", "id": 0}')
        await driver.send_bytes(frame(0))
        await driver.close()
        await watcher.close()

    with_client(headset, work)
    assert {sample.device_ns for sample in taken(headset)} <= {10_000_000, None}


def test_a_headset_takes_over_from_its_own_broken_connection_and_lets_go_between(
    headset: WebXrHeadset,
) -> None:
    async def work(client: Client) -> None:
        first = await client.drive()
        await first.send_bytes(frame(0))
        await first.send_bytes(frame(1, squeeze=1.0))
        second = await client.open()
        await second.send_str('{"type": "drive"}')
        while not (await second.receive_json()).get("drives"):
            pass
        await second.send_bytes(frame(0, squeeze=1.0))
        await second.close()
        await first.close()

    with_client(headset, work)
    held = [sample.arms["right"].clutch for sample in taken(headset)]
    assert held[:4] == [False, True, False, False], "held, let go of, and still squeezed: not a new squeeze"


def test_a_flood_is_cut_and_hurts_only_itself(headset: WebXrHeadset) -> None:
    async def work(client: Client) -> tuple[int, str]:
        connection = await client.drive()
        payload = frame(0)
        try:
            for _ in range(8000):
                await connection.send_bytes(payload)
        except ConnectionError:
            pass
        return await closed(connection)

    flooded = headset.metrics["flooded"]
    assert with_client(headset, work) == (1008, "too many messages")
    assert headset.metrics["flooded"] - flooded >= 5000
    assert len(taken(headset)) <= 600


def test_revoking_disconnects_at_once(headset: WebXrHeadset) -> None:
    async def work(client: Client) -> tuple[int, str]:
        connection = await client.drive()
        loop = asyncio.get_running_loop()
        revoked = loop.run_in_executor(None, headset.revoke)
        ended = await closed(connection)
        assert (await revoked)["revoked"] == 1
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await client.open()
        return ended

    assert with_client(headset, work) == (1008, "the pairing was revoked")


def test_the_pairing_card_has_what_people_need(headset: WebXrHeadset) -> None:
    card = headset.pairing()
    assert str(card["qr_url"]).startswith(str(card["url"])) and len(str(card["pin"])) == 6
    assert {len(row) for row in card["qr"]} == {len(card["qr"])} and set("".join(card["qr"])) == {"0", "1"}
    assert json.dumps(card) and len(str(card["fingerprint"])) == 95
    assert (headset.state, headset.sentence) == ("waiting", "")
    drawn = qr_lines(card["qr"])
    assert len(drawn) == (len(card["qr"]) + 1) // 2 and set(drawn[0]) == {"\u2588"}, "a quiet zone in light"


def test_a_busy_port_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        device = make_device(
            DriverKind.INPUT, "webxr", context(tmp_path), {"host": "127.0.0.1", "port": port}
        )
        with pytest.raises(DeviceError, match=f"cannot listen on 127.0.0.1:{port}: another program uses it"):
            device.start()
        device.stop()
        with pytest.raises(DeviceError, match="does not run"):
            device.pairing()


def test_an_expired_certificate_is_renewed_at_the_start_and_said(tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=800)
    old = ensure_certificate(tmp_path / "headset", ("127.0.0.1",), long_ago)
    device = make_device(DriverKind.INPUT, "webxr", context(tmp_path), {"host": "127.0.0.1", "port": 0})
    device.start()

    async def work(client: Client) -> bool:
        return (await client.session.get(client.url + "/me")).ok

    assert with_client(device, work), "a client that trusts the new certificate connects"
    card = device.pairing()
    assert "expired" in card["note"]
    assert card["fingerprint"] != old.fingerprint
    device.stop()


def test_damaged_files_of_the_store_are_sentences(tmp_path: Path) -> None:
    device = make_device(DriverKind.INPUT, "webxr", context(tmp_path), {"host": "127.0.0.1", "port": 0})
    (tmp_path / "headset").mkdir(mode=0o700)
    (tmp_path / "headset" / "paired.json").write_text("?")
    with pytest.raises(StorageError, match="Delete that file"):
        device.start()
    (tmp_path / "headset" / "key.pem").write_text("?")
    with pytest.raises(DeviceError, match="cannot be read"):
        device.start()


def test_wrong_options_are_listed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"port.*"):
        make_device(DriverKind.INPUT, "webxr", context(tmp_path), {"port": -1})
