"""Lost reference pictures, told from the stream itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorders.exporters.h264_chain import ReferenceChain
from recorders.schema import CameraHeader
from recorders.synthetic import synthetic_packets
from recorders.video import H264Encoder


def stream(count=60, keyframe_frames=15, preset="superfast"):
    encoder = H264Encoder(64, 48, 30, preset=preset, keyframe_frames=keyframe_frames)
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (count, 48, 64, 3), dtype=np.uint8)
    return [encoder.encode(image) for image in images]


UNITS = stream()


@pytest.mark.parametrize("preset", ["ultrafast", "superfast", "veryfast", "medium"])
def test_a_whole_stream_is_intact_also_where_the_count_wraps(preset):
    chain = ReferenceChain()
    assert all(chain.intact(unit) for unit in stream(300, 250, preset))


@given(st.sets(st.integers(0, 59), max_size=20))
def test_after_a_loss_nothing_is_intact_until_a_keyframe(lost):
    chain = ReferenceChain()
    told = {number: chain.intact(unit) for number, unit in enumerate(UNITS) if number not in lost}
    for number, intact in told.items():
        keyframe = number - number % 15
        assert intact == (not lost & set(range(keyframe, number)))


def test_frames_dropped_before_the_encoder_break_nothing():
    camera = CameraHeader("overhead", 64, 48, 30, "h264", "")
    chain = ReferenceChain()
    assert all(chain.intact(packet.payload) for packet in synthetic_packets(camera, 0, 0, 40))


@given(st.binary(max_size=80))
def test_nonsense_is_never_intact_and_never_an_error(noise):
    chain = ReferenceChain()
    chain.intact(noise)
    assert chain.intact(b"") is False
