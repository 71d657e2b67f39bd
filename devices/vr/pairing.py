"""Which headsets may see the station: pairing by a PIN or a QR code, remembered until revoked.

What a paired browser keeps is a random secret in a cookie; the station keeps its hash. PIN and token are
never logged. Used from the server's thread.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from teleop_app.core.clock import NS_PER_S, Clock
from teleop_app.core.errors import StorageError

WRONG_PINS: Final = 5
"""Wrong PINs in a row after which PINs are refused for a while."""
FIRST_LOCK_S: Final = 30.0
LONGEST_LOCK_S: Final = 900.0
TOKEN_S: Final = 600.0
MOST_CLIENTS: Final = 32
_DAY_S: Final = 86_400.0


class PairingRefusedError(Exception):
    """A PIN or token was not accepted; the text is for the person at the headset.

    Args:
        sentence: Why.
        wait_s: Seconds until a PIN counts again.
    """

    def __init__(self, sentence: str, wait_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class PairedClient:
    """A browser that may connect.

    Attributes:
        id: Short name.
        title: What it calls itself.
        digest: SHA-256 of its secret.
        paired_s: Unix time.
    """

    id: str
    title: str
    digest: str
    paired_s: float


class Pairing:
    """The paired clients, and the present PIN and token.

    Args:
        file: Where the clients are remembered.
        clock: Monotonic, for delays.
        wall_s: Unix time now.
        remember_days: A pairing older than this ends.

    Raises:
        StorageError: The file is not readable.
    """

    def __init__(self, file: Path, clock: Clock, wall_s: float, remember_days: int = 30) -> None:
        self._file = file
        self._clock = clock
        self._remember_s = remember_days * _DAY_S
        self._wrong = 0
        self._lock_s = FIRST_LOCK_S
        self._locked_until_ns = 0
        self._clients = {
            each.id: each for each in _load(file) if 0 <= wall_s - each.paired_s < self._remember_s
        }
        self._renew_pin()
        self._renew_token()

    @property
    def pin(self) -> str:
        """Six digits."""
        return self._pin

    @property
    def clients(self) -> tuple[PairedClient, ...]:
        """Who is paired, oldest first."""
        return tuple(self._clients.values())

    @property
    def remember_s(self) -> float:
        """How long a pairing lasts."""
        return self._remember_s

    def token(self) -> str:
        """The present one-time token; a new one when it is too old."""
        if self._clock.now_ns() >= self._token_until_ns:
            self._renew_token()
        return self._token

    def by_pin(self, pin: str, title: str, wall_s: float) -> tuple[PairedClient, str]:
        """Pair by PIN; the client, and the secret for its cookie.

        Raises:
            PairingRefusedError: It is wrong, or there were too many wrong ones.
        """
        wait_s = self._wait_s()
        if wait_s > 0.0:
            raise PairingRefusedError(
                f"Too many wrong PINs. Wait {wait_s:.0f} s, or scan the QR code.", wait_s
            )
        if not hmac.compare_digest(pin.encode(), self._pin.encode()):
            raise self._wrong_pin()
        return self._accept(title, wall_s)

    def by_token(self, token: str, title: str, wall_s: float) -> tuple[PairedClient, str]:
        """Pair by the token of the QR code; the client, and the secret for its cookie.

        Raises:
            PairingRefusedError: It was used, or is too old.
        """
        fresh = self._clock.now_ns() < self._token_until_ns
        if not (fresh and hmac.compare_digest(token.encode(), self._token.encode())):
            raise PairingRefusedError("This QR code was used or is too old. Scan the one shown now.")
        return self._accept(title, wall_s)

    def who(self, secret: str, wall_s: float) -> PairedClient | None:
        """The client of a cookie."""
        digest = _digest(secret)
        for client in self._clients.values():
            if hmac.compare_digest(client.digest, digest):
                return client if wall_s - client.paired_s < self._remember_s else None
        return None

    def revoke(self, client_id: str = "") -> tuple[str, ...]:
        """Unpair a client, or all; the ids of those that were."""
        gone = tuple(each for each in self._clients if client_id in ("", each))
        for each in gone:
            del self._clients[each]
        self._renew_pin()
        self._renew_token()
        self._save()
        return gone

    def _accept(self, title: str, wall_s: float) -> tuple[PairedClient, str]:
        secret = secrets.token_urlsafe(32)
        client = PairedClient(secrets.token_hex(4), title or "Headset", _digest(secret), wall_s)
        while len(self._clients) >= MOST_CLIENTS:
            del self._clients[next(iter(self._clients))]
        self._clients[client.id] = client
        self._wrong, self._lock_s = 0, FIRST_LOCK_S
        self._renew_pin()
        self._renew_token()
        self._save()
        return client, secret

    def _wrong_pin(self) -> PairingRefusedError:
        self._wrong += 1
        left = WRONG_PINS - self._wrong
        if left > 0:
            return PairingRefusedError(f"This PIN is wrong. {left} more {'try' if left == 1 else 'tries'}.")
        wait_s = self._lock_s
        self._locked_until_ns = self._clock.now_ns() + round(wait_s * NS_PER_S)
        self._wrong, self._lock_s = 0, min(2 * wait_s, LONGEST_LOCK_S)
        self._renew_pin()
        return PairingRefusedError(
            f"Too many wrong PINs. Wait {wait_s:.0f} s for a new PIN, or scan the QR code.", wait_s
        )

    def _wait_s(self) -> float:
        return (self._locked_until_ns - self._clock.now_ns()) / NS_PER_S

    def _renew_pin(self) -> None:
        self._pin = f"{secrets.randbelow(1_000_000):06d}"

    def _renew_token(self) -> None:
        self._token = secrets.token_urlsafe(24)
        self._token_until_ns = self._clock.now_ns() + round(TOKEN_S * NS_PER_S)

    def _save(self) -> None:
        draft = self._file.with_suffix(f".{os.getpid()}.tmp")
        text = json.dumps({"version": 1, "clients": [asdict(each) for each in self.clients]}, indent=1)
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                out.write(text)
            draft.replace(self._file)
        except OSError as error:
            raise StorageError(
                f"The paired headsets in {self._file} cannot be written", why=error.strerror or str(error)
            ) from error


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _load(file: Path) -> list[PairedClient]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        clients = [PairedClient(**each) for each in found["clients"]]
        if not all(isinstance(each.paired_s, int | float) for each in clients):
            raise TypeError("paired_s")
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"The paired headsets in {file} cannot be read",
            why=str(error),
            next_step="Delete that file and pair the headsets anew",
        ) from error
    return clients
