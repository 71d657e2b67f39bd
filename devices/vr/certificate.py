"""Key and certificate of this installation, made at its first start; browsers run WebXR over HTTPS alone.

The certificate is self-signed: the browser asks once, and the fingerprint shown beside the PIN lets a careful
person compare. The key never leaves this host and belongs to this store alone.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from teleop_app.core.errors import DeviceError, StorageError
from teleop_app.core.paths import make_private

VALID: Final = datetime.timedelta(days=397)
"""Browsers accept no certificate of a server for longer (CA/Browser Forum ballot SC31, 2020)."""
RENEW_BEFORE: Final = datetime.timedelta(days=30)
_CLOCKS_DIFFER: Final = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the server shows to browsers.

    Attributes:
        key_file: Private key, PEM.
        file: Certificate, PEM.
        fingerprint: SHA-256, `AB:CD:...`, as browsers show it.
        expires: When it ends.
        note: A sentence when it was made or renewed now, else empty.
    """

    key_file: Path
    file: Path
    fingerprint: str
    expires: datetime.datetime
    note: str

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or later with this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(self.file, self.key_file)
        return context


def ensure_certificate(folder: Path, names: Sequence[str], now: datetime.datetime) -> Certificate:
    """The certificate of this store; made, or renewed with the same key, where that is needed.

    Args:
        folder: Private to this user; made when it is not there.
        names: Names and addresses that it shall hold.
        now: UTC.

    Raises:
        DeviceError: The key or certificate cannot be read or do not fit together.
        StorageError: They cannot be written.
    """
    make_private(folder)
    key_file, file = folder / "key.pem", folder / "certificate.pem"
    key = _load_key(key_file)
    found = _load_certificate(file) if key is not None else None
    note = ""
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1())
        _write(key_file, _pem(key))
        note = "A key and a certificate for the headset page were made; the headset asks once to trust them."
    elif found is not None and _public(found.public_key()) != _public(key.public_key()):
        raise DeviceError(
            f"The certificate {file} does not belong to the key beside it",
            next_step="Delete that certificate; a new one is made at the next start",
        )
    elif found is None:
        note = "The headset page has a new certificate; the headset asks once to trust it."
    elif now >= found.not_valid_after_utc - RENEW_BEFORE or now < found.not_valid_before_utc:
        ended = "expired" if now >= found.not_valid_after_utc else "would soon have expired"
        day = found.not_valid_after_utc.date().isoformat()
        note = f"The certificate of the headset page {ended} ({day}) and was renewed; trust it once more."
        found = None
    elif missing := set(names) - set(_names(found)):
        note = (
            f"The certificate of the headset page was renewed for {', '.join(sorted(missing))}; "
            "trust it once more."
        )
        found = None
    if found is None:
        found = _sign(key, names, now)
        _write(file, found.public_bytes(serialization.Encoding.PEM))
    digest = found.fingerprint(hashes.SHA256())
    return Certificate(key_file, file, digest.hex(":").upper(), found.not_valid_after_utc, note)


def _sign(key: ec.EllipticCurvePrivateKey, names: Sequence[str], now: datetime.datetime) -> x509.Certificate:
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "teleop-app headset page")])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now - _CLOCKS_DIFFER + VALID)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .sign(key, hashes.SHA256())
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.partition("%")[0]))
    except ValueError:
        return x509.DNSName(name)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(each.value) for each in held]


def _load_key(file: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unreadable("key", file, error) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _unreadable("key", file, "it is not a key that this program made")
    return key


def _load_certificate(file: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable("certificate", file, error) from error


def _unreadable(what: str, file: Path, why: object) -> DeviceError:
    return DeviceError(
        f"The {what} of the headset page, {file}, cannot be read",
        why=str(why),
        next_step="Delete it; a new one is made at the next start, and headsets ask once to trust it",
    )


def _public(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return b""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(file: Path, content: bytes) -> None:
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(content)
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StorageError(f"{file} cannot be written", why=error.strerror or str(error)) from error
