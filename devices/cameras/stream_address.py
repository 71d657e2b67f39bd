"""The address of a stream: what it is, how FFmpeg is to open it, and how people may see it."""

from __future__ import annotations

import errno
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import av.error

_NETWORK = ("rtsp", "rtsps", "http", "https", "udp", "rtp", "tcp")


class StreamAddress:
    """An address.

    Args:
        url: As in the station file; may carry a user and password.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._url = url

    @property
    def is_file(self) -> bool:
        """Whether it is a file of this machine."""
        return self._parts.scheme not in _NETWORK

    @property
    def target(self) -> str:
        """What FFmpeg opens."""
        return str(Path(self._url.removeprefix("file://")).expanduser()) if self.is_file else self._url

    @property
    def shown(self) -> str:
        """Without user and password."""
        if self.is_file or "@" not in self._parts.netloc:
            return self.target
        return urlunsplit(self._parts._replace(netloc=self._parts.netloc.rsplit("@", 1)[1]))

    @property
    def advice(self) -> str:
        """What to look at when it fails."""
        if self.is_file:
            return "Check `url` in its options"
        return "Check `url` in its options, and that the camera is on and in this network"

    def demuxer_options(self, transport: str, low_latency: bool) -> dict[str, str]:
        """FFmpeg's options for it."""
        options: dict[str, str] = {}
        if self._parts.scheme.startswith("rtsp"):
            options["rtsp_transport"] = transport
        if low_latency and not self.is_file:
            options |= {
                "fflags": "nobuffer",
                "flags": "low_delay",
                "max_delay": "0",
                "reorder_queue_size": "0",
            }
            options |= {"probesize": "200000", "analyzeduration": "500000"}
        return options

    def reason(self, error: Exception) -> str:
        """Why FFmpeg failed, in words."""
        if isinstance(error, av.error.ExitError | TimeoutError | av.error.TimeoutError):
            return "it did not answer in time"
        if isinstance(error, av.error.HTTPUnauthorizedError):
            return "it wants another user or password"
        if isinstance(error, av.error.InvalidDataError):
            return "what it sends is not a video that FFmpeg knows"
        if isinstance(error, OSError) and error.errno == errno.ECONNREFUSED:
            return "nothing listens there"
        text = str(getattr(error, "strerror", "") or error)
        return text.replace(self._url, self.shown)
