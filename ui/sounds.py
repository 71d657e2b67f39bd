"""Short tones for what happens while the eyes are on the robot; each has a visual cue as well.

The tones are synthesised, so nothing has to be shipped. A machine without a sound device stays
silent: `SoundPlayer.problem` says so once, for the Setup page, and nothing else happens.
"""

from __future__ import annotations

import logging
import math
from enum import StrEnum

import numpy as np
from PyQt6.QtCore import QBuffer, QByteArray, QIODevice, QObject, QtMsgType, qInstallMessageHandler

log = logging.getLogger(__name__)

SAMPLE_RATE_HZ = 22_050
_FADE_S = 0.008


class Cue(StrEnum):
    """What is told by ear."""

    RECORD = "record"
    STOP = "stop"
    SAVED = "saved"
    DISCARDED = "discarded"
    HOLD = "hold"
    FAULT = "fault"
    LIMIT = "limit"
    BLOCKED = "blocked"
    DEADMAN = "deadman"
    ALIGNED = "aligned"
    HELP = "help"
    SEIZE = "seize"
    RETURN = "return"


_NOTES: dict[Cue, tuple[tuple[float, float], ...]] = {
    Cue.RECORD: ((660.0, 0.07), (880.0, 0.10)),
    Cue.STOP: ((880.0, 0.07), (660.0, 0.10)),
    Cue.SAVED: ((784.0, 0.06), (988.0, 0.06), (1175.0, 0.12)),
    Cue.DISCARDED: ((523.0, 0.08), (392.0, 0.14)),
    Cue.HOLD: ((440.0, 0.10), (0.0, 0.05), (440.0, 0.10)),
    Cue.FAULT: ((330.0, 0.14), (0.0, 0.05), (330.0, 0.14), (0.0, 0.05), (247.0, 0.24)),
    Cue.LIMIT: ((349.0, 0.05), (0.0, 0.02), (349.0, 0.05)),
    Cue.BLOCKED: ((392.0, 0.06), (294.0, 0.10)),
    Cue.DEADMAN: ((294.0, 0.08), (0.0, 0.04), (294.0, 0.08)),
    Cue.ALIGNED: ((587.0, 0.05), (784.0, 0.09)),
    Cue.HELP: ((740.0, 0.09), (0.0, 0.04), (740.0, 0.09), (0.0, 0.04), (988.0, 0.18)),
    Cue.SEIZE: ((392.0, 0.05), (523.0, 0.08)),
    Cue.RETURN: ((523.0, 0.05), (392.0, 0.05), (523.0, 0.08)),
}
"""Frequency [Hz] (0 is a rest) and duration [s] of each note."""


def samples(cue: Cue, volume: float = 0.35) -> np.ndarray:
    """Returns a cue as 16-bit mono samples at `SAMPLE_RATE_HZ`, faded at both ends of each note."""
    notes = []
    for frequency_hz, duration_s in _NOTES[cue]:
        t = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
        tone = np.sin(math.tau * frequency_hz * t) + 0.25 * np.sin(2 * math.tau * frequency_hz * t)
        fade = np.clip(np.minimum(t, duration_s - t) / _FADE_S, 0.0, 1.0)
        notes.append(tone * fade / 1.25)
    return (np.concatenate(notes) * volume * 32767).astype("<i2")


def _to_log(_kind: QtMsgType, _context: object, message: str | None) -> None:
    log.debug("Qt multimedia: %s", message)


class SoundPlayer(QObject):
    """Plays cues when sounds are on and a device is there. GUI thread only.

    Attributes:
        enabled: Whether cues are played.
        problem: A sentence when this machine cannot play, else empty; known after the first cue.
    """

    def __init__(self, enabled: bool = True, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.enabled = enabled
        self.problem = ""
        self._opened = False
        self._sink = None
        self._tones: dict[Cue, QByteArray] = {}
        self._buffer: QBuffer | None = None

    def play(self, cue: Cue) -> bool:
        """Starts a cue, cutting off the one before; returns whether anything is heard."""
        if not self.enabled:
            return False
        if not self._opened:
            self._open()
        if self._sink is None:
            return False
        self._sink.stop()
        tone = self._tones.setdefault(cue, QByteArray(samples(cue).tobytes()))
        buffer = QBuffer(self)
        buffer.setData(tone)
        buffer.open(QIODevice.OpenModeFlag.ReadOnly)
        self._sink.start(buffer)
        if self._buffer is not None:
            self._buffer.deleteLater()
        self._buffer = buffer
        return True

    def _open(self) -> None:
        self._opened = True
        # Without a sound server or PipeWire's library Qt warns on its own; the sentences below say it
        # better, and belong on the Setup page.
        previous = qInstallMessageHandler(_to_log)
        try:
            self._find_device()
        finally:
            qInstallMessageHandler(previous)

    def _find_device(self) -> None:
        try:
            from PyQt6.QtMultimedia import QAudioFormat, QAudioSink, QMediaDevices
        except ImportError as error:
            self.problem = (
                f"Sounds are off: Qt's multimedia part cannot be loaded ({error}). "
                "The screen shows every cue as well; install libpulse0 to hear them."
            )
            log.info("%s", self.problem)
            return
        device = QMediaDevices.defaultAudioOutput()
        if device.isNull():
            self.problem = (
                "Sounds are off: this machine has no sound device. The screen shows every cue as well."
            )
            log.info("%s", self.problem)
            return
        fmt = QAudioFormat()
        fmt.setSampleRate(SAMPLE_RATE_HZ)
        fmt.setChannelCount(1)
        fmt.setSampleFormat(QAudioFormat.SampleFormat.Int16)
        self._sink = QAudioSink(device, fmt, self)

    def stop(self) -> None:
        """Silences what plays."""
        if self._sink is not None:
            self._sink.stop()
