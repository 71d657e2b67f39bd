"""Hardware encoders are used only when a trial shows that they keep to what recording needs."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest

from recorders.encoder_choice import ProbeResult, choose_encoder, probe_encoder, run_probe
from recorders.encoder_probe import FORCED, Image, fault_of
from recorders.video import CODECS, H264Encoder, is_keyframe
from recorders.yuv import YuvConverter
from teleop_app.core.errors import ConfigError, DeviceError


class FakeHardware:
    """A fake encoder, x264 underneath, with one fault that real drivers have."""

    def __init__(self, fault: str, width: int, height: int, fps: int, keyframes: int) -> None:
        self._fault = fault
        self._encoder = H264Encoder(width, height, fps, "ultrafast", keyframe_frames=keyframes)
        self._last = b""
        self._count = 0

    def encode(self, rgb: Image, force_keyframe: bool = False) -> bytes:
        number, self._count = self._count, self._count + 1
        if self._fault == "refuses" and number == 3:
            raise DeviceError("The H.264 encoder refused a frame", why="out of memory")
        if self._fault == "ignores the wish":
            force_keyframe = False
        if self._fault == "shows the frame before" and number:
            rgb = np.roll(rgb, 200, axis=1)
        payload = self._encoder.encode(rgb, force_keyframe)
        if self._fault == "headers once" and number:
            at = payload.find(b"\x00\x00\x01\x65")
            payload = payload if at < 0 else payload[at:]
        if self._fault == "length prefixes":
            payload = len(payload).to_bytes(4, "big") + payload
        return payload


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("none", ""),
        ("ignores the wish", f"made frame {FORCED} no keyframe"),
        ("headers once", f"left the parameter sets out of keyframe {FORCED}"),
        ("length prefixes", "does not write Annex B"),
        ("shows the frame before", "below 30 dB"),
        ("refuses", "out of memory"),
    ],
)
def test_a_fake_encoder_with_a_fault_is_found_out(fault: str, says: str) -> None:
    found, _ = fault_of(lambda *size: FakeHardware(fault, *size))
    assert says in found
    assert bool(found) == bool(says)


@pytest.mark.parametrize(
    ("body", "patience_s", "says"),
    [
        ("time.sleep(60)", 1.5, "did not answer within 1.5 s"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 60.0, "crashed with signal 11"),
        ("sys.exit(3)", 60.0, "ended its trial with code 3 and no result"),
    ],
)
def test_a_fake_driver_that_hangs_or_crashes_is_survived(
    body: str, patience_s: float, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = f"""
        import os, signal, sys, time
        def fake_driver(width, height, fps, keyframes):
            {body}
    """
    (tmp_path / "fake_driver_module.py").write_text(textwrap.dedent(source))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    result = run_probe("fake_driver_module:fake_driver", timeout_s=patience_s)
    assert result == ProbeResult(False, says)


def test_an_encoder_that_is_not_cheaper_than_x264_is_not_used() -> None:
    result = run_probe("recorders.video:x264")
    assert not result.works
    assert "ms of the processor a frame" in result.reason


def test_auto_says_which_encoder_and_why() -> None:
    nothing = choose_encoder("auto", lambda name: ProbeResult(False, "has no device here"))
    assert nothing.codec == "x264"
    assert nothing.reason == "x264, because nvenc has no device here and vaapi has no device here."
    second = choose_encoder("auto", lambda name: ProbeResult(name == "vaapi", "takes 0.3 ms"))
    assert (second.codec, second.reason) == ("vaapi", "vaapi: it takes 0.3 ms.")
    assert choose_encoder("x264", lambda name: pytest.fail(name)).codec == "x264"


def test_an_encoder_that_was_asked_for_and_does_not_work_is_an_error() -> None:
    with pytest.raises(ConfigError, match="encoder nvenc, which cannot be used here: it crashed. Set rec"):
        choose_encoder("nvenc", lambda name: ProbeResult(False, "crashed"))
    assert choose_encoder("nvenc", lambda name: ProbeResult(True, "takes 0.3 ms")).codec == "nvenc"


@pytest.mark.parametrize("name", ["nvenc", "vaapi"])
def test_the_real_probe_answers_with_a_reason_on_any_machine(name: str) -> None:
    result = probe_encoder(name)
    assert result.reason
    assert name in CODECS


def test_chroma_is_the_mean_of_its_four_pixels() -> None:
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (50, 66, 3), np.uint8)
    frame = YuvConverter(66, 50).convert(rgb)
    planes = frame.to_ndarray().reshape(-1)
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    luma = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
    u = (128 + (-37.797 * r - 74.203 * g + 112.0 * b) / 255).reshape(25, 2, 33, 2).mean((1, 3))
    v = (128 + (112.0 * r - 93.786 * g - 18.214 * b) / 255).reshape(25, 2, 33, 2).mean((1, 3))
    for given, wanted in zip(np.split(planes, [3300, 4125]), (luma, u, v), strict=True):
        assert np.abs(given.astype(float) - wanted.reshape(-1)).max() < 1.1


def test_a_frame_that_is_converted_anew_does_not_change_what_was_encoded() -> None:
    encoder = H264Encoder(64, 48, 30)
    first = encoder.encode(np.full((48, 64, 3), 200, np.uint8))
    copy = bytes(first)
    encoder.encode(np.zeros((48, 64, 3), np.uint8))
    assert first == copy
    assert is_keyframe(first)
