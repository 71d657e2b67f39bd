"""Key and certificate of the headset page."""

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from devices.vr.addresses import host_addresses, host_names, in_url
from devices.vr.certificate import VALID, ensure_certificate
from teleop_app.core.errors import DeviceError, StorageError

NOW = datetime.datetime(2026, 11, 22, tzinfo=datetime.UTC)
NAMES = ("localhost", "cell.local", "192.0.2.7", "2001:db8::7")


def days(count: float) -> datetime.timedelta:
    return datetime.timedelta(days=count)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "headset"


def test_the_first_start_makes_both_privately(folder: Path) -> None:
    made = ensure_certificate(folder, NAMES, NOW)
    assert "were made" in made.note
    assert made.key_file.stat().st_mode & 0o077 == 0 and folder.stat().st_mode & 0o077 == 0
    held = x509.load_pem_x509_certificate(made.file.read_bytes())
    names = held.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == list(NAMES)
    assert len(made.fingerprint.split(":")) == 32
    assert isinstance(made.context(), ssl.SSLContext)


def test_two_installations_share_nothing(tmp_path: Path) -> None:
    keys = [ensure_certificate(tmp_path / name, NAMES, NOW).key_file.read_bytes() for name in "ab"]
    assert keys[0] != keys[1]


def test_the_next_start_takes_them_as_they_are(folder: Path) -> None:
    first = ensure_certificate(folder, NAMES, NOW)
    again = ensure_certificate(folder, NAMES[:2], NOW + days(300))
    assert again.fingerprint == first.fingerprint and again.note == ""


@pytest.mark.parametrize(
    ("later", "said"),
    [(VALID + days(1), "expired"), (VALID - days(20), "would soon have expired"), (days(-30), "renewed")],
)
def test_an_old_certificate_is_renewed_with_the_same_key_and_a_note(
    folder: Path, later: datetime.timedelta, said: str
) -> None:
    first = ensure_certificate(folder, NAMES, NOW)
    key = first.key_file.read_bytes()
    again = ensure_certificate(folder, NAMES, NOW + later)
    assert said in again.note and "trust it once more" in again.note
    assert again.fingerprint != first.fingerprint and again.key_file.read_bytes() == key
    assert again.expires > NOW + later + days(300)


def test_a_new_address_needs_a_new_certificate(folder: Path) -> None:
    ensure_certificate(folder, NAMES, NOW)
    again = ensure_certificate(folder, (*NAMES, "192.0.2.8"), NOW)
    assert "renewed for 192.0.2.8" in again.note


@pytest.mark.parametrize("name", ["key.pem", "certificate.pem"])
def test_what_cannot_be_read_is_a_sentence_and_is_kept(folder: Path, name: str) -> None:
    ensure_certificate(folder, NAMES, NOW)
    (folder / name).write_text("-----BEGIN NONSENSE-----")
    with pytest.raises(DeviceError, match="cannot be read.*Delete it"):
        ensure_certificate(folder, NAMES, NOW)
    assert (folder / name).read_text() == "-----BEGIN NONSENSE-----"


def test_a_key_of_another_kind_is_refused(folder: Path) -> None:
    made = ensure_certificate(folder, NAMES, NOW)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    made.key_file.write_bytes(
        other.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with pytest.raises(DeviceError, match="not a key that this program made"):
        ensure_certificate(folder, NAMES, NOW)


def test_a_certificate_of_another_key_is_refused(folder: Path, tmp_path: Path) -> None:
    made = ensure_certificate(folder, NAMES, NOW)
    made.file.write_bytes(ensure_certificate(tmp_path / "other", NAMES, NOW).file.read_bytes())
    with pytest.raises(DeviceError, match="does not belong to the key"):
        ensure_certificate(folder, NAMES, NOW)


def test_a_store_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        ensure_certificate(tmp_path / "file" / "headset", NAMES, NOW)


def test_this_host_has_addresses_and_names() -> None:
    assert {"127.0.0.1", "::1"} <= set(host_addresses()) and "localhost" in host_names()
    assert in_url("::1") == "[::1]" and in_url("192.0.2.7") == "192.0.2.7"
