"""Commands and messages between processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from teleop_app.core.bus import CommandClient, CommandServer, Endpoints, Publisher, Subscriber
from teleop_app.core.errors import BusError, StorageError
from teleop_app.core.types import Event


def refuse(reason: str) -> None:
    raise StorageError("The disk is full", why=reason, next_step="Free space")


def break_down() -> None:
    raise ZeroDivisionError("a bug")


@contextmanager
def served(address: str) -> Iterator[None]:
    server = CommandServer(
        address, {"add": lambda a, b: {"sum": a + b}, "refuse": refuse, "break_down": break_down}
    )
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            server.socket.poll(10)
            server.serve()
        server.close()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_commands_answer_and_errors_keep_their_kind(tmp_path: Path) -> None:
    address = Endpoints(tmp_path).command("recorder")
    client = CommandClient(address, "recorder")
    with served(address):
        assert client.call("add", a=2, b=3) == {"sum": 5}
        with pytest.raises(StorageError, match="The disk is full: no bytes left. Free space."):
            client.call("refuse", reason="no bytes left")
        with pytest.raises(BusError, match="Unknown command 'fly'.*add"):
            client.call("fly")
        with pytest.raises(BusError, match="missing a required argument"):
            client.call("add", a=1)
        with pytest.raises(BusError, match="ZeroDivisionError"):
            client.call("break_down")
        assert client.call("add", a=1, b=1) == {"sum": 2}
    client.close()


def test_a_silent_process_is_a_sentence_and_a_late_answer_is_not_mixed_up(tmp_path: Path) -> None:
    address = Endpoints(tmp_path).command("recorder")
    client = CommandClient(address, "recorder")
    with pytest.raises(BusError, match="recorder process did not answer 'add' within 0.05 s"):
        client.call("add", a=1, b=1, timeout_s=0.05)
    with served(address):
        assert client.call("add", a=20, b=3) == {"sum": 23}
    client.close()


def test_subscribers_get_topics_by_prefix_and_count_garbage(tmp_path: Path) -> None:
    address = Endpoints(tmp_path).publish("control")
    publisher = Publisher(address)
    subscriber = Subscriber([address], ["event"])
    event = Event("safety.estop", 1, "control", "stopped")
    for _ in range(200):  # a SUB socket joins late; publish until it hears
        publisher.send("event", event)
        if subscriber.wait(0.01):
            break
    assert subscriber.receive() == ("event", event)
    publisher.send("tick", event)
    publisher.send_encoded(b"event", b"\xc1")
    publisher.send("event", event)
    assert subscriber.wait(2.0)
    heard = []
    while len(heard) < 1 and subscriber.wait(2.0):
        heard += list(subscriber.drain())
    assert [topic for topic, _ in heard] == ["event"] * len(heard)
    while not subscriber.malformed and subscriber.wait(2.0):
        list(subscriber.drain())
    assert subscriber.malformed == 1
    subscriber.close()
    publisher.close()


def test_a_flood_of_garbage_does_not_outlast_the_limit(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path / 'x.pub'}"
    subscriber = Subscriber([address], bind=True)
    publisher = Publisher(address, connect=True)
    while not subscriber.malformed:  # the two have to find each other
        publisher.send_encoded(b"input", b"\xc1")
        subscriber.wait(0.1)
        subscriber.receive()
    list(subscriber.drain())
    before = subscriber.malformed
    for _ in range(50):
        publisher.send_encoded(b"input", b"\xc1")
    taken = 0
    while taken < 50:
        assert subscriber.wait(2.0)
        assert list(subscriber.drain(8)) == []
        assert 0 < subscriber.malformed - before - taken <= 8
        taken = subscriber.malformed - before
    subscriber.close()
    publisher.close()


def test_an_address_in_use_is_a_sentence() -> None:
    publisher = Publisher("tcp://127.0.0.1:*")
    publisher.close()
    with pytest.raises(BusError, match="cannot be opened"):
        Publisher("ipc:///nonexistent/folder/x.pub")
