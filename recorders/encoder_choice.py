"""Which H.264 encoder the cameras use: hardware only where a probe has shown that it works and is cheaper."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from recorders.video import CODECS
from teleop_app.core.errors import ConfigError

HARDWARE: Final = ("nvenc", "vaapi")
TIMEOUT_S: Final = 30.0
"""A driver that has not answered by then hangs."""
_DEVICES: Final = {"nvenc": ("/dev", "nvidiactl"), "vaapi": ("/dev/dri", "renderD*")}


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe found.

    Attributes:
        works: The encoder keeps to what recording needs, and is cheaper than x264.
        reason: As the end of a sentence that begins with its name.
    """

    works: bool
    reason: str


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """The encoder to use, one of `CODECS`, and why, as a sentence."""

    codec: str
    reason: str


def choose_encoder(wanted: str, probe: Callable[[str], ProbeResult] | None = None) -> EncoderChoice:
    """The encoder for `recording.encoder`; may take seconds where there is hardware.

    Args:
        wanted: `auto`, or one of `CODECS`.
        probe: Looks at one hardware encoder; `probe_encoder` by default.

    Raises:
        ConfigError: The station file asks for an encoder that does not work here.
    """
    probe = probe or probe_encoder
    if wanted == "x264":
        return EncoderChoice("x264", "x264, as the station file asks.")
    if wanted != "auto":
        found = probe(wanted)
        if found.works:
            return EncoderChoice(wanted, f"{wanted}, as the station file asks: it {found.reason}.")
        raise ConfigError(
            f"The station file asks for the encoder {wanted}, which cannot be used here",
            why=f"it {found.reason}",
            next_step="Set recording.encoder to auto or x264",
        )
    said: list[str] = []
    for name in HARDWARE:
        found = probe(name)
        if found.works:
            return EncoderChoice(name, f"{name}: it {found.reason}.")
        said.append(f"{name} {found.reason}")
    return EncoderChoice("x264", f"x264, because {' and '.join(said)}.")


def probe_encoder(name: str) -> ProbeResult:
    """Try a hardware encoder in a process of its own, which a broken driver may hang or crash."""
    missing = _missing(name)
    return ProbeResult(False, missing) if missing else run_probe(f"recorders.video:{name}")


def run_probe(encoder: str, timeout_s: float = TIMEOUT_S) -> ProbeResult:
    """Run `recorders.encoder_probe` on `module:name` and judge how it ends.

    Args:
        encoder: See there.
        timeout_s: After which it is killed.
    """
    command = [sys.executable, "-m", "recorders.encoder_probe", encoder]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return ProbeResult(False, f"did not answer within {timeout_s:g} s")
    except OSError as error:
        return ProbeResult(False, f"could not be tried ({error.strerror})")
    if ended.returncode < 0:
        return ProbeResult(False, f"crashed with signal {-ended.returncode}")
    try:
        answer = json.loads(ended.stdout.splitlines()[-1])
        return ProbeResult(bool(answer["works"]), str(answer["reason"]))
    except (ValueError, IndexError, KeyError, TypeError):
        return ProbeResult(False, f"ended its trial with code {ended.returncode} and no result")


def _missing(name: str) -> str:
    """What this machine lacks for an encoder, as the end of a sentence; empty when nothing is known."""
    library = CODECS[name][0]
    try:
        Codec(library, "w")
    except UnknownCodecError:
        return f"is not part of this build of FFmpeg ({library})"
    folder, pattern = _DEVICES[name]
    if sys.platform == "linux" and not list(Path(folder).glob(pattern)):
        return f"has no device here ({folder}/{pattern})"
    return ""
