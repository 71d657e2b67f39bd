"""Recorded packets in mp4 files, and the proof that all are there."""

import av
import numpy as np
import pytest

from recorders.exporters.h264_units import nal_units, parameter_sets
from recorders.exporters.mp4 import Mp4Writer, verify_mp4
from recorders.schema import CameraHeader
from recorders.synthetic import synthetic_packets
from recorders.video import H264Decoder, H264Encoder
from teleop_app.core.errors import ExportError

FPS = 30


def packets(number=0, count=20, fps=FPS, width=64):
    header = CameraHeader("overhead", width, 48, fps, "h264", "")
    return [(p.payload, p.keyframe) for p in synthetic_packets(header, number, 0, count)]


def write(path, units, fps=FPS):
    with Mp4Writer(path, fps, units[0][0]) as writer:
        for payload, keyframe in units:
            writer.write(payload, keyframe)


@pytest.mark.parametrize("fps", [1, 10, 24, 25, 30, 50, 60, 120])
def test_pictures_and_times_survive_at_every_rate(tmp_path, fps):
    units = packets(0, 20, fps) + packets(1, 17, fps)
    write(tmp_path / "a.mp4", units, fps)
    verify_mp4(tmp_path / "a.mp4", fps, [20, 17])
    decoder = H264Decoder(64, 48)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == fps
        assert stream.frames == 37
        for number, frame in enumerate(container.decode(stream)):
            assert frame.pts * frame.time_base * fps == number
            assert (frame.to_ndarray(format="rgb24") == decoder.decode(units[number][0])).all()
    assert number == 36


def test_the_index_comes_first(tmp_path):
    write(tmp_path / "a.mp4", packets())
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_same_packets_give_the_same_bytes(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.mp4", packets())
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_missing_frame_is_found(tmp_path):
    write(tmp_path / "a.mp4", packets(count=19))
    with pytest.raises(ExportError, match="holds 19 frames where 20 rows were written"):
        verify_mp4(tmp_path / "a.mp4", FPS, [20])


def test_an_episode_without_a_keyframe_is_found(tmp_path):
    write(tmp_path / "a.mp4", packets())
    with pytest.raises(ExportError, match="Frame 7 of a.mp4 starts an episode without a keyframe"):
        verify_mp4(tmp_path / "a.mp4", FPS, [7, 13])


def test_a_frame_off_the_grid_is_found(tmp_path):
    units = packets()
    with Mp4Writer(tmp_path / "a.mp4", FPS, units[0][0]) as writer:
        for number, (payload, keyframe) in enumerate(units):
            if number == 9:
                writer.frames += 1
            writer.write(payload, keyframe)
    with pytest.raises(ExportError, match="off the grid|rate"):
        verify_mp4(tmp_path / "a.mp4", FPS, [20])


def test_a_truncated_file_is_found(tmp_path):
    write(tmp_path / "a.mp4", packets())
    content = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(ExportError, match=r"cannot be read back|holds|off the grid"):
        verify_mp4(tmp_path / "a.mp4", FPS, [20])


def test_what_is_not_h264_is_refused(tmp_path):
    with pytest.raises(ExportError, match="is not H.264"):
        Mp4Writer(tmp_path / "a.mp4", FPS, b"\x00\x00\x00\x01" + bytes(64))


def test_parameter_sets_tell_encoders_apart():
    image = np.zeros((48, 64, 3), np.uint8)
    same = [parameter_sets(H264Encoder(64, 48, FPS).encode(image)) for _ in range(2)]
    assert same[0] == same[1]
    assert [unit[0] & 0x1F for unit in same[0].units] == [7, 8]
    assert parameter_sets(H264Encoder(64, 48, FPS, crf=30).encode(image)).key != same[0].key
    wide = np.zeros((48, 80, 3), np.uint8)
    assert parameter_sets(H264Encoder(80, 48, FPS).encode(wide)).key != same[0].key


def test_only_keyframes_carry_parameter_sets():
    (first, _), (second, _), *_ = packets(count=3)
    assert parameter_sets(first).units
    assert parameter_sets(second).units == ()


def test_nal_units_of_both_start_codes():
    assert list(nal_units(b"\x00\x00\x00\x01\x67ab\x00\x00\x01\x68c\x00\x00\x00\x01\x65d")) == [
        b"\x67ab",
        b"\x68c",
        b"\x65d",
    ]
    assert list(nal_units(b"")) == []
