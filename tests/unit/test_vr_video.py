"""The cameras' video for headset pages: what one page gets, and real sockets of pages that misbehave."""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from devices.vr.protocol import ProtocolError
from devices.vr.video_hub import VideoHub
from devices.vr.video_viewer import LATE_NS, MOST_IN_FLIGHT, WAIT_NS, VideoViewer
from devices.vr.video_wire import (
    HEAD_BYTES,
    AskTime,
    Got,
    Show,
    decode_request,
    encode_packet,
)
from teleop_app.core.clock import NS_PER_MS
from teleop_app.core.types import CameraSetup, VideoPacket

GROUP = 10
FRAME_NS = 33 * NS_PER_MS


def packet(seq: int, camera: str = "front", size: int = 100) -> VideoPacket:
    at_ns = (seq + 1) * FRAME_NS
    return VideoPacket(camera, seq, at_ns, at_ns + 1, seq % GROUP == 0, 64, 48, bytes([seq % 251]) * size)


def sent(viewer: VideoViewer, now_ns: int, *, acknowledge: bool = True) -> list[int]:
    found: list[int] = []
    while (taken := viewer.take(now_ns)) is not None:
        found.append(taken[0].seq)
        if acknowledge:
            viewer.acknowledge(taken[1])
    return found


def test_a_page_starts_with_a_keyframe() -> None:
    viewer = VideoViewer()
    for seq in (4, 5, 9, 10, 11):
        viewer.offer(packet(seq), 0)
    assert sent(viewer, 0) == [10, 11]
    assert (viewer.sent, viewer.dropped) == (2, 3)


def test_a_page_that_joins_gets_what_came_since_the_keyframe_and_nothing_twice() -> None:
    viewer = VideoViewer()
    viewer.start([packet(seq) for seq in (10, 11, 12)], 0)
    viewer.offer(packet(12), 0)
    viewer.offer(packet(13), 0)
    assert sent(viewer, 0) == [10, 11, 12, 13]


def test_a_page_that_does_not_keep_up_goes_on_at_a_keyframe_and_its_queue_stays_short() -> None:
    viewer = VideoViewer()
    got: list[int] = []
    unacknowledged: list[int] = []
    for seq in range(300):
        now_ns = seq * FRAME_NS
        viewer.offer(packet(seq), now_ns)
        slow = 50 <= seq < 200  # the network stands still
        while (taken := viewer.take(now_ns)) is not None:
            got.append(taken[0].seq)
            unacknowledged.append(taken[1])
        if not slow:
            viewer.acknowledge(max(unacknowledged, default=0))
        assert sum(len(lane.waiting) for lane in viewer._lanes.values()) <= 8
    breaks = [(a, b) for a, b in pairwise(got) if b != a + 1]
    assert all(b % GROUP == 0 for _, b in breaks), "only a keyframe may follow a gap"
    assert got[:50] == list(range(50)) and got[-90:] == list(range(210, 300))
    assert len([seq for seq in got if 60 <= seq < 190]) == 0, (
        "nothing was sent into a network that stands still"
    )
    assert viewer.sent + viewer.dropped == 300


def test_a_packet_that_waited_too_long_is_dropped_with_all_that_need_it() -> None:
    viewer = VideoViewer()
    for seq in range(3):
        viewer.offer(packet(seq), 0)
    assert sent(viewer, WAIT_NS + 1) == []
    viewer.offer(packet(3), WAIT_NS + 2)
    assert sent(viewer, WAIT_NS + 2) == []
    viewer.offer(packet(10), 2 * WAIT_NS)
    assert sent(viewer, 2 * WAIT_NS) == [10]


def test_a_fresh_keyframe_behind_old_packets_is_kept() -> None:
    viewer = VideoViewer()
    viewer.offer(packet(9 + 1), 0)
    viewer.take(0)
    viewer.offer(packet(11), 0)
    viewer.offer(packet(20), 30 * NS_PER_MS)
    assert sent(viewer, WAIT_NS + NS_PER_MS) == [20]


def test_one_slow_camera_does_not_hold_up_another() -> None:
    viewer = VideoViewer()
    for seq in range(5):
        viewer.offer(packet(seq, "a"), 0)
        viewer.offer(packet(seq, "b"), 0)
    order = []
    while (taken := viewer.take(0)) is not None:
        order.append(taken[0].camera)
        viewer.acknowledge(taken[1])
    assert order == ["a", "b"] * 5


def test_a_page_that_never_acknowledges_gets_no_more() -> None:
    viewer = VideoViewer()
    viewer.start([packet(0)], 0)
    assert sent(viewer, 0, acknowledge=False) == [0]
    viewer.offer(packet(1), LATE_NS + 1)
    assert sent(viewer, LATE_NS + 1) == []
    many = VideoViewer()
    for seq in range(60):
        many.offer(packet(seq), 0)
    assert len(sent(many, 0, acknowledge=False)) == MOST_IN_FLIGHT


def test_only_what_is_shown_is_sent() -> None:
    viewer = VideoViewer()
    viewer.show(frozenset({"wrist"}))
    viewer.offer(packet(0), 0)
    viewer.offer(packet(0, "wrist"), 0)
    assert sent(viewer, 0) == [0] and viewer.sent == 1 and viewer.dropped == 0
    viewer.show(None)
    viewer.start([packet(0), packet(1)], 0)
    viewer.offer(packet(2), 0)
    assert sent(viewer, 0) == [0, 1, 2]


def test_bytes_of_a_packet() -> None:
    raw = encode_packet(packet(20), 3, 7, 5_500_000)
    assert len(raw) == HEAD_BYTES + 100
    assert struct.unpack_from("<BBBBII", raw) == (2, 1, 1, 3, 7, 20)
    assert struct.unpack_from("<ddd", raw, 12) == (21 * 33.0, 21 * 33.0 + 1e-6, 5.5)
    assert struct.unpack_from("<HH", raw, 36) == (64, 48)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ('{"type": "got", "number": 7}', Got(7)),
        ('{"type": "show", "cameras": ["a", "b"]}', Show(frozenset("ab"))),
        ('{"type": "show"}', Show(None)),
        ('{"type": "clock", "page_ms": 1.5}', AskTime(1.5)),
    ],
)
def test_what_a_page_may_ask(text: str, meant: object) -> None:
    assert decode_request(text) == meant


NONSENSE = [
    "{",
    '{"type": "fly"}',
    '{"type": "got"}',
    '{"type": "got", "number": "7"}',
    '{"type": "clock", "page_ms": NaN}',
    '{"type": "show", "cameras": "front"}',
    '{"type": "show", "cameras": [1]}',
    json.dumps({"type": "show", "cameras": ["x"] * 65}),
]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        decode_request(text)


# Real sockets.


def with_hub(work: Callable[[VideoHub, aiohttp.ClientSession, str], Awaitable[Any]]) -> Any:
    hub = VideoHub()

    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        await hub.serve(socket)
        return socket

    async def run() -> Any:
        app = web.Application()
        app.router.add_get("/video", answer)
        async with TestServer(app) as server, aiohttp.ClientSession() as session:
            result = await asyncio.wait_for(work(hub, session, str(server.make_url("/video"))), 20.0)
            for _ in range(200):
                if not hub.metrics["video_clients"]:
                    break
                await asyncio.sleep(0.01)
        assert not hub.metrics["video_clients"], "nobody is left behind"
        return result

    return asyncio.run(run())


def number_of(data: bytes) -> tuple[int, int, int]:
    """Camera, number and seq."""
    return struct.unpack_from("<BII", data, 3)


async def packets(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[tuple[int, int, int]]:
    """The next packets, acknowledged."""
    found: list[tuple[int, int, int]] = []
    while len(found) < count:
        message = await socket.receive(timeout=10.0)
        if message.type is aiohttp.WSMsgType.BINARY:
            found.append(number_of(message.data))
            await socket.send_json({"type": "got", "number": found[-1][1]})
    return found


def setup(name: str) -> CameraSetup:
    return CameraSetup(name, 64, 48, 30, "x264", "", np.zeros((3, 3)), "", np.zeros(0))


def test_a_page_joins_in_the_middle_and_is_told_the_cameras() -> None:
    async def work(hub: VideoHub, session: aiohttp.ClientSession, url: str) -> None:
        hub.introduce(setup("front"))
        for seq in range(14):
            hub.offer(packet(seq))
        async with session.ws_connect(url) as socket:
            told = await socket.receive_json()
            camera = {"id": 0, "name": "front", "fps": 30, "width": 64, "height": 48}
            assert told == {"type": "cameras", "cameras": [camera]}
            assert [each[2] for each in await packets(socket, 4)] == [10, 11, 12, 13]
            hub.offer(packet(14))
            assert await packets(socket, 1) == [(0, 5, 14)]
            hub.offer(packet(20, "wrist"))
            assert await packets(socket, 1) == [(1, 6, 20)]
            await socket.send_json({"type": "clock", "page_ms": 12.5})
            answer = await socket.receive_json()
            while answer["type"] != "clock":
                answer = await socket.receive_json()
            assert answer["page_ms"] == 12.5 and answer["host_ms"] > 0

    with_hub(work)


def test_a_camera_that_is_shown_again_starts_at_a_keyframe() -> None:
    async def work(hub: VideoHub, session: aiohttp.ClientSession, url: str) -> None:
        async with session.ws_connect(url) as socket:
            await socket.send_json({"type": "show", "cameras": []})
            await asyncio.sleep(0.1)
            for seq in range(13):
                hub.offer(packet(seq))
            await socket.send_json({"type": "show", "cameras": ["front"]})
            assert [each[2] for each in await packets(socket, 3)] == [10, 11, 12]
        assert hub.metrics["video_sent"] >= 3.0

    with_hub(work)


def test_a_page_that_reads_nothing_delays_no_other() -> None:
    async def work(hub: VideoHub, session: aiohttp.ClientSession, url: str) -> None:
        async with session.ws_connect(url) as stuck, session.ws_connect(url) as good:
            stuck._response.connection.transport.pause_reading()  # type: ignore[union-attr]
            for seq in range(60):
                hub.offer(packet(seq, size=200_000))
                assert [each[2] for each in await packets(good, 1)] == [seq]
            slow, quick = hub._clients
            assert quick.viewer.sent == 60 and quick.viewer.dropped == 0
            assert slow.viewer.sent <= MOST_IN_FLIGHT
            stuck._response.connection.transport.abort()  # type: ignore[union-attr]

    with_hub(work)


@pytest.mark.parametrize("bad", [b"\x00\x01", *NONSENSE[:3]])
def test_a_hostile_page_is_closed_with_a_reason_and_hurts_only_itself(bad: bytes | str) -> None:
    async def work(hub: VideoHub, session: aiohttp.ClientSession, url: str) -> str:
        async with session.ws_connect(url) as hostile, session.ws_connect(url) as good:
            if isinstance(bad, bytes):
                await hostile.send_bytes(bad)
            else:
                await hostile.send_str(bad)
            while (message := await hostile.receive()).type is not aiohttp.WSMsgType.CLOSE:
                pass
            hub.offer(packet(0))
            assert [each[2] for each in await packets(good, 1)] == [0]
            assert hub.metrics["video_malformed"] == 1.0 and message.data == 1008
            return str(message.extra)

    assert with_hub(work)


def test_a_page_that_breaks_away_is_forgotten() -> None:
    async def work(hub: VideoHub, session: aiohttp.ClientSession, url: str) -> None:
        socket = await session.ws_connect(url)
        hub.offer(packet(0))
        await packets(socket, 1)
        socket._response.connection.transport.abort()  # type: ignore[union-attr]
        for seq in range(1, 20):
            hub.offer(packet(seq))
            await asyncio.sleep(0)

    with_hub(work)
