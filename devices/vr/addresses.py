"""Names and addresses under which this host is reached."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
import sys

_SIOCGIFADDR = 0x8915


def host_addresses() -> tuple[str, ...]:
    """Addresses under which others reach this host, that of the default route first; then loopback."""
    found: dict[str, None] = {}
    # Connecting a datagram socket sends nothing, it asks the routing table (addresses: RFC 5737, RFC 3849).
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))
            found[probe.getsockname()[0]] = None
    for each in (*_of_name(), *_of_interfaces()):
        found[each] = None
    usable = [each for each in found if not _is_local(each)]
    return (*usable, "127.0.0.1", "::1")


def host_names() -> tuple[str, ...]:
    """`localhost`, this host's name, and its name in the local network (mDNS)."""
    name = socket.gethostname().split(".")[0].lower()
    return tuple(dict.fromkeys(("localhost", name, f"{name}.local")))


def in_url(address: str) -> str:
    """An address or name as it stands in a URL."""
    return f"[{address}]" if ":" in address else address


def _of_name() -> list[str]:
    try:
        return [str(each[4][0]) for each in socket.getaddrinfo(socket.gethostname(), None)]
    except OSError:
        return []


def _of_interfaces() -> list[str]:
    if sys.platform != "linux":
        return []
    import fcntl

    found: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name[:15].encode()))
                found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _is_local(address: str) -> bool:
    try:
        value = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    return value.is_loopback or value.is_unspecified or value.is_link_local
