"""Pairing: who gets in, who does not, and for how long."""

from pathlib import Path

import pytest

from devices.vr.lease import Lease
from devices.vr.pairing import LONGEST_LOCK_S, TOKEN_S, WRONG_PINS, Pairing, PairingRefusedError
from teleop_app.core.clock import NS_PER_S, FakeClock
from teleop_app.core.errors import StorageError

NOW = 1.8e9


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def pairing(tmp_path: Path, clock: FakeClock) -> Pairing:
    return Pairing(tmp_path / "paired.json", clock, NOW)


def wrong(pairing: Pairing) -> str:
    return f"{(int(pairing.pin) + 1) % 1_000_000:06d}"


def after(clock: FakeClock, seconds: float) -> None:
    clock.sleep_until(clock.now_ns() + round(seconds * NS_PER_S))


def test_the_right_pin_pairs_and_is_used_up(pairing: Pairing, tmp_path: Path) -> None:
    pin = pairing.pin
    client, secret = pairing.by_pin(pin, "Quest 3", NOW)
    assert pairing.who(secret, NOW) == client and client.title == "Quest 3"
    assert pairing.who(secret + "x", NOW) is None
    assert secret not in (tmp_path / "paired.json").read_text()
    assert (tmp_path / "paired.json").stat().st_mode & 0o077 == 0
    assert pairing.pin != pin or pairing.token()


def test_five_wrong_pins_lock_with_a_growing_delay_and_a_new_pin(pairing: Pairing, clock: FakeClock) -> None:
    said: list[str] = []
    waits: list[float] = []
    for _ in range(8):
        for _ in range(WRONG_PINS):
            with pytest.raises(PairingRefusedError) as refused:
                pairing.by_pin(wrong(pairing), "x", NOW)
            said.append(str(refused.value))
        waits.append(refused.value.wait_s)
        with pytest.raises(PairingRefusedError, match="scan the QR code"):
            pairing.by_pin(pairing.pin, "right, but too early", NOW)
        after(clock, refused.value.wait_s)
    assert said[0] == "This PIN is wrong. 4 more tries." and said[3] == "This PIN is wrong. 1 more try."
    assert waits[:3] == [30.0, 60.0, 120.0] and waits[-1] == LONGEST_LOCK_S
    pairing.by_pin(pairing.pin, "in time", NOW)


def test_the_qr_code_works_while_pins_are_locked_but_only_once(pairing: Pairing) -> None:
    for _ in range(WRONG_PINS):
        with pytest.raises(PairingRefusedError):
            pairing.by_pin(wrong(pairing), "x", NOW)
    token = pairing.token()
    pairing.by_token(token, "Quest", NOW)
    with pytest.raises(PairingRefusedError, match="Scan the one shown now"):
        pairing.by_token(token, "thief", NOW)


def test_a_token_grows_old(pairing: Pairing, clock: FakeClock) -> None:
    token = pairing.token()
    after(clock, TOKEN_S)
    with pytest.raises(PairingRefusedError, match="too old"):
        pairing.by_token(token, "x", NOW)
    assert pairing.token() != token


def test_pairings_are_remembered_revoked_and_end(pairing: Pairing, tmp_path: Path, clock: FakeClock) -> None:
    first, secret = pairing.by_pin(pairing.pin, "one", NOW)
    _, other = pairing.by_pin(pairing.pin, "two", NOW)
    again = Pairing(tmp_path / "paired.json", clock, NOW + 60)
    assert again.who(secret, NOW + 60) == first
    assert again.who(secret, NOW + 31 * 86_400) is None
    assert again.revoke(first.id) == (first.id,)
    assert again.who(secret, NOW) is None and again.who(other, NOW) is not None
    assert again.revoke() and not again.clients
    assert Pairing(tmp_path / "paired.json", clock, NOW).clients == ()


def test_the_oldest_pairing_makes_room(pairing: Pairing) -> None:
    _, first = pairing.by_pin(pairing.pin, "0", NOW)
    for number in range(32):
        pairing.by_pin(pairing.pin, str(number), NOW)
    assert len(pairing.clients) == 32 and pairing.who(first, NOW) is None


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"clients": [{"id": 1}]}', "\x00"])
def test_a_damaged_file_is_a_sentence(text: str, tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "paired.json").write_text(text)
    with pytest.raises(StorageError, match="Delete that file and pair the headsets anew"):
        Pairing(tmp_path / "paired.json", clock, NOW)


def test_one_drives_the_others_wait() -> None:
    lease = Lease(keep_s=3.0)
    assert lease.ask("a", 1, 0) and lease.connection == 1
    assert not lease.ask("b", 2, 0)
    assert not lease.give_up(2) and lease.give_up(1)
    assert lease.ask("b", 2, 0)


def test_who_vanished_may_come_back_for_a_while() -> None:
    lease = Lease(keep_s=3.0)
    lease.ask("a", 1, 0)
    assert lease.vanished(1, 0) and lease.connection == 0
    assert not lease.ask("b", 2, NS_PER_S)
    assert lease.ask("a", 3, NS_PER_S)
    lease.vanished(3, 2 * NS_PER_S)
    assert not lease.expire(4 * NS_PER_S)
    assert lease.ask("b", 2, 5 * NS_PER_S)


def test_the_same_headset_need_not_wait_for_its_broken_connection() -> None:
    lease = Lease(keep_s=3.0)
    lease.ask("a", 1, 0)
    assert lease.ask("a", 2, 0) and lease.connection == 2
    assert not lease.vanished(1, 0), "the old one is noticed too late to matter"


def test_the_operator_takes_it_back() -> None:
    lease = Lease(keep_s=3.0)
    lease.ask("a", 1, 0)
    assert lease.take_back() == 1 and lease.take_back() == 0
    assert lease.ask("b", 2, 0)
