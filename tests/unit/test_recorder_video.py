"""The encoder, the decoder and the chain of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from recorders.picture_chain import PictureChain
from recorders.synthetic import synthetic_header, synthetic_image, synthetic_packets
from recorders.video import H264Decoder, H264Encoder, is_keyframe
from teleop_app.core.errors import DeviceError, EpisodeError

PACKETS = synthetic_packets(synthetic_header(("a",), 64, 48).cameras[0], 0, 0, 60)


def test_every_frame_gives_one_packet_and_keyframes_come_when_asked() -> None:
    encoder = H264Encoder(64, 48, 30, keyframe_frames=10)
    packets = [encoder.encode(synthetic_image(0, i, 64, 48), force_keyframe=i == 4) for i in range(20)]
    assert [i for i, payload in enumerate(packets) if is_keyframe(payload)] == [0, 4, 14]
    for payload in packets:
        assert payload.startswith(b"\x00\x00\x00\x01")
    encoder.close()
    encoder.close()
    with pytest.raises(DeviceError, match="closed"):
        encoder.encode(synthetic_image(0, 0, 64, 48))


def test_decoding_starts_at_any_keyframe_and_colours_survive() -> None:
    decoder = H264Decoder(64, 48)
    for packet in PACKETS[30:45]:
        image = decoder.decode(packet.payload)
        wanted = synthetic_image(0, packet.seq, 64, 48).astype(int)
        assert image.shape == (48, 64, 3)
        assert np.abs(image - wanted).mean() < 6.0


def test_plain_colours_are_not_shifted() -> None:
    for colour in ((255, 255, 255), (0, 0, 0), (200, 30, 60), (20, 180, 40), (30, 40, 220)):
        encoder, decoder = H264Encoder(64, 48, 30, crf=10), H264Decoder(64, 48)
        image = decoder.decode(encoder.encode(np.full((48, 64, 3), colour, np.uint8)))
        assert np.abs(image.reshape(-1, 3).mean(axis=0) - colour).max() < 4.0


def test_wrong_frames_are_refused() -> None:
    encoder = H264Encoder(64, 48, 30)
    with pytest.raises(DeviceError, match=r"opened for \(48, 64, 3\) uint8"):
        encoder.encode(np.zeros((64, 48, 3), np.uint8))
    with pytest.raises(DeviceError, match="cannot start for 63x48"):
        H264Encoder(63, 48, 30)


@pytest.mark.parametrize("payload", [b"", b"\0\0\1\x65abc", PACKETS[1].payload, PACKETS[0].payload[:300]])
def test_packets_that_are_no_frame_are_refused(payload: bytes) -> None:
    with pytest.raises(EpisodeError, match="A video packet"):
        H264Decoder(64, 48).decode(payload)


def test_a_stream_of_another_size_is_refused_before_it_is_decoded() -> None:
    large = H264Encoder(640, 480, 30).encode(np.zeros((480, 640, 3), np.uint8))
    with pytest.raises(EpisodeError):
        H264Decoder(64, 48).decode(large)
    with pytest.raises(EpisodeError, match="the limit is 4096 px a side"):
        H264Decoder(10_000, 48)


@pytest.mark.parametrize("count", [1, 2, 7, 14, 15, 16, 20])
def test_after_a_loss_frames_are_refused_until_the_next_keyframe(count: int) -> None:
    for first in range(1, 60 - count):
        chain = PictureChain()
        kept = [p for p in PACKETS if not first <= p.seq < first + count]
        accepted = {p.seq for p in kept if chain.accepts(p.payload, count if p.seq == first + count else 0)}
        keyframe = next((p.seq for p in PACKETS[first + count :] if p.keyframe), 60)
        assert accepted == {*range(first), *range(keyframe, 60)}


def test_frames_that_were_never_taken_do_not_break_the_chain() -> None:
    chain = PictureChain()
    assert all(chain.accepts(p.payload, missing=p.seq % 3) for p in PACKETS)


@pytest.mark.parametrize(
    "payload", [b"", b"\0\0\1", b"\0\0\1\x67\xff", b"\0\0\1\x67" + b"\0" * 80, b"\0\0\1\x41"]
)
def test_headers_that_make_no_sense_break_the_chain_and_nothing_else(payload: bytes) -> None:
    chain = PictureChain()
    assert not chain.accepts(payload)
    assert chain.accepts(PACKETS[0].payload)
