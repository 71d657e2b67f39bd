"""The microphone through miniaudio and its null device."""

import time
from collections.abc import Iterator
from itertools import pairwise

import miniaudio
import pytest

from devices.sensors.microphone import DRIVER, Microphone, MicrophoneOptions
from teleop_app.core.clock import NS_PER_S, MonotonicClock
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import AudioBlock


def microphone(**options: object) -> Microphone:
    values = {"backend": "null", "block_ms": 10, "rate_hz": 16000, **options}
    return Microphone("mic", MicrophoneOptions.model_validate(values), MonotonicClock())


def gather(source: Microphone, blocks: int) -> list[AudioBlock]:
    found: list[AudioBlock] = []
    deadline = time.monotonic() + 10.0
    while len(found) < blocks:
        assert time.monotonic() < deadline
        found += [block for block in source.read(0.2) if isinstance(block, AudioBlock)]
    return found


@pytest.fixture
def running() -> Iterator[Microphone]:
    source = microphone(channels=2)
    source.start()
    source.start()
    yield source
    source.stop()
    source.stop()


def test_blocks_follow_each_other_without_gap(running: Microphone) -> None:
    blocks = gather(running, 8)
    for before, after in pairwise(blocks):
        frames = len(before.payload) // 4
        assert after.seq == before.seq + frames
        assert before.receive_ns - before.capture_ns == frames * NS_PER_S // 16000
    assert {(b.source, b.rate_hz, b.channels) for b in blocks} == {("mic", 16000, 2)}
    assert running.streams == ()


def test_the_end_of_the_device_is_a_sentence_and_it_starts_again(running: Microphone) -> None:
    before = gather(running, 2)
    running._device.stop()  # what an unplugged device does: miniaudio's own stop callback
    with pytest.raises(DeviceError, match="The microphone 'mic' is gone: the sound system stopped it"):
        gather(running, 1000)
    running.start()
    after = gather(running, 1)[0]
    away_ns = after.capture_ns - before[-1].receive_ns
    assert after.seq - before[-1].seq > away_ns * 16000 // NS_PER_S
    assert running.metrics["missed"] > 0


def test_missing_sound_leaves_room_in_the_numbers(running: Microphone) -> None:
    block = gather(running, 1)[-1]
    frames = len(block.payload) // 4
    late_ns = running._end_ns + NS_PER_S // 2
    after = running._block(late_ns, bytes(len(block.payload)))
    assert after.seq == running._seq - frames
    assert running.metrics["missed"] == pytest.approx(8000 - frames, abs=2)


def test_silent_devices_are_never_taken_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a sound system miniaudio would give its null device for the asking."""
    source = microphone(backend="auto")
    null = [miniaudio.Backend.NULL]
    genuine = miniaudio.CaptureDevice
    monkeypatch.setattr(
        miniaudio, "CaptureDevice", lambda **options: genuine(**{**options, "backends": null})
    )
    with pytest.raises(DeviceError, match="this machine has no sound system"):
        source.start()


def test_an_unknown_device_is_named_with_those_that_are_there() -> None:
    with pytest.raises(DeviceError, match=r"No microphone is called 'Studio': the system has 'NULL Capture"):
        microphone(device="Studio").start()
    found = microphone(device="null capture")
    found.start()
    found.stop()


def test_a_sound_system_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(DeviceError, match="The microphone 'mic' cannot be opened: "):
        microphone(backend="wasapi").start()


def test_discovery_never_offers_the_null_device() -> None:
    assert all("NULL" not in found.title for found in DRIVER.discover())


def test_discovery_leaves_out_the_device_that_only_delivers_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: the list of a machine with ALSA and one microphone."""
    zeros = "Discard all samples (playback) or generate zero samples (capture)"

    class Listed:
        backend = "ALSA"

        def get_captures(self) -> list[dict[str, str]]:
            return [{"name": zeros}, {"name": "Røde NT-USB"}]

    monkeypatch.setattr(miniaudio, "Devices", Listed)
    assert [found.options for found in DRIVER.discover()] == [{"device": "Røde NT-USB"}]
