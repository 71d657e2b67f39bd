"""Runs one LeRobot device in the interpreter that has LeRobot. Needs nothing but NumPy and LeRobot there.

With the argument `policy` it hosts a policy instead (policy_worker.py).

Messages in both directions: two 32-bit numbers, big endian, the lengths of a JSON text and of the bytes
that follow it. A request is {"do": name, ...}, its bytes, if any, are its "blob"; the answer is {"ok": {...}}
or {"error": sentence, "kind": class}. Whatever LeRobot prints goes to the standard error. A robot that is not
commanded for a while is sent where it is; when the requests end, the device is disconnected.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import select
import struct
import sys
import time
from typing import Any, BinaryIO, Protocol

import numpy as np

LENGTHS = struct.Struct(">II")
FAMILIES = {
    "robot": ("lerobot.robots", "RobotConfig", "make_robot_from_config"),
    "teleoperator": ("lerobot.teleoperators", "TeleoperatorConfig", "make_teleoperator_from_config"),
    "camera": ("lerobot.cameras", "CameraConfig", "make_cameras_from_configs"),
}


class RefusalError(Exception):
    """What is wrong with a request, as a sentence."""


class Target(Protocol):
    """What requests are put to: the methods that `allowed` names."""

    allowed: frozenset[str]

    def watch(self) -> None:
        """Called many times a second while no request comes."""
        ...

    def end(self) -> None:
        """Called when the requests end."""
        ...


class Device:
    """One LeRobot robot, teleoperator or camera, and what may be asked of it."""

    allowed = frozenset(
        {"make", "features", "connect", "observe", "act", "hold", "action", "frame", "disconnect"}
    )

    def __init__(self) -> None:
        self.kind = ""
        self.device: Any = None
        self.commanded_ns = 0
        self.watchdog_ns = 0

    def make(self, kind: str, type: str, config: dict[str, Any], watchdog_s: float = 0.0) -> dict[str, Any]:
        """Make the device; nothing is connected yet."""
        self.disconnect()
        package, base_name, maker_name = FAMILIES[kind]
        base, notes = _config_base(package, base_name, type)
        config_class = base.get_choice_class(type)
        known = {f.name for f in getattr(config_class, "__dataclass_fields__", {}).values()}
        if "disable_torque_on_disconnect" in known:
            config = {"disable_torque_on_disconnect": False, **config}
        unknown = sorted(set(config) - known)
        if unknown:
            raise RefusalError(
                f"LeRobot's {type!r} has no setting {', '.join(unknown)}; it has {', '.join(sorted(known))}"
            )
        draccus = importlib.import_module("draccus")
        made = draccus.decode(base, {"type": type, **config})
        maker = getattr(importlib.import_module(package), maker_name, None) or getattr(
            importlib.import_module(f"{package}.utils"), maker_name
        )
        self.device = maker({"one": made})["one"] if kind == "camera" else maker(made)
        self.kind, self.watchdog_ns = kind, int(watchdog_s * 1e9)
        return {"class": self.device.__class__.__name__, "notes": notes, "version": _version()}

    def features(self) -> dict[str, Any]:
        """Names of the numbers that it takes and gives."""
        if self.kind == "camera":
            return {"actions": [], "observations": []}
        actions = self.device.action_features
        observed = self.device.observation_features if self.kind == "robot" else {}
        return {"actions": _numbers(actions), "observations": _numbers(observed)}

    def connect(self) -> dict[str, Any]:
        """Connect it, without its interactive calibration; anew if it was."""
        self.disconnect()
        if self.kind == "camera":
            self.device.connect()
            return {"width": self.device.width, "height": self.device.height, "fps": self.device.fps}
        self.device.connect(calibrate=False)
        if not self.device.is_calibrated:
            self.device.disconnect()
            raise RefusalError("it is not calibrated; run lerobot-calibrate for it first")
        return {}

    def observe(self) -> dict[str, Any]:
        """The robot's state, and when it was read."""
        before_ns = time.monotonic_ns()
        seen = _plain(self.device.get_observation())
        return {"values": seen, "capture_ns": (before_ns + time.monotonic_ns()) // 2}

    def act(self, values: dict[str, float]) -> dict[str, Any]:
        """Send a target; what LeRobot sent of it."""
        sent = self.device.send_action(values)
        self.commanded_ns = time.monotonic_ns()
        return {"sent": _plain(sent or {})}

    def hold(self) -> dict[str, Any]:
        """Send the robot where it is."""
        self.commanded_ns = 0
        targets = set(_numbers(self.device.action_features))
        here = {
            name: value for name, value in _plain(self.device.get_observation()).items() if name in targets
        }
        if set(here) == targets:
            self.device.send_action(here)
        return {"held": set(here) == targets}

    def action(self) -> dict[str, Any]:
        """The teleoperator's action, and when it was read."""
        before_ns = time.monotonic_ns()
        values = _plain(self.device.get_action())
        return {"values": values, "capture_ns": (before_ns + time.monotonic_ns()) // 2}

    def frame(self, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        """A new picture, RGB."""
        try:
            image = self.device.async_read(timeout_ms=1000.0 * timeout_s)
        except TimeoutError:
            return {"shape": None}, b""
        image = np.ascontiguousarray(image, dtype=np.uint8)
        return {"shape": list(image.shape), "receive_ns": time.monotonic_ns()}, image.tobytes()

    def disconnect(self) -> dict[str, Any]:
        """Let it go. Holding is what robots do whose torque stays on."""
        if self.device is not None and self.device.is_connected:
            self.device.disconnect()
        return {}

    def watch(self) -> None:
        """Hold a robot whose commands have stopped."""
        late = self.commanded_ns and time.monotonic_ns() - self.commanded_ns > self.watchdog_ns
        if self.kind == "robot" and self.watchdog_ns and late and self.device.is_connected:
            sys.stderr.write("no commands: the robot is held where it is\n")
            self.hold()

    def end(self) -> None:
        """Hold a robot and disconnect."""
        try:
            if self.kind == "robot" and self.device.is_connected:
                self.hold()
        finally:
            self.disconnect()


def serve(target: Target, requests: int, answers: BinaryIO) -> None:
    """Answer requests until they end."""
    waiting = bytearray()
    try:
        while True:
            ready, _, _ = select.select([requests], [], [], 0.05)
            if not ready:
                try:
                    target.watch()
                except Exception as error:
                    sys.stderr.write(f"the robot could not be held: {error}\n")
                continue
            received = os.read(requests, 1 << 20)
            if not received:
                return
            waiting += received
            while (taken := _take(waiting)) is not None:
                text, blob = _answer(target, taken)
                answers.write(LENGTHS.pack(len(text), len(blob)) + text + blob)
                answers.flush()
    finally:
        target.end()


def _take(waiting: bytearray) -> dict[str, Any] | None:
    """The next whole request, taken out of what has come."""
    if len(waiting) < LENGTHS.size:
        return None
    text, blob = LENGTHS.unpack_from(waiting)
    end = LENGTHS.size + text + blob
    if len(waiting) < end:
        return None
    request = json.loads(waiting[LENGTHS.size : LENGTHS.size + text])
    if blob:
        request["blob"] = bytes(waiting[LENGTHS.size + text : end])
    del waiting[:end]
    return request


def _answer(target: Target, request: dict[str, Any]) -> tuple[bytes, bytes]:
    blob = b""
    try:
        name = request.pop("do")
        if name not in target.allowed:
            raise RefusalError(f"there is no request {name!r}")
        told = getattr(target, name)(**request)
        if isinstance(told, tuple):
            told, blob = told
        answer: dict[str, Any] = {"ok": told}
    except Exception as error:
        text = " ".join(str(error).split()) or error.__class__.__name__
        answer = {"error": text[:600], "kind": error.__class__.__name__}
    return json.dumps(answer, allow_nan=False).encode(), blob


def _config_base(package: str, base_name: str, wanted: str) -> tuple[Any, list[str]]:
    """The base of the configurations, with the wanted type registered; and what could not be loaded."""
    module = importlib.import_module(package)
    base = getattr(module, base_name)
    utils = importlib.import_module("lerobot.utils.import_utils")
    utils.register_third_party_plugins()
    notes: list[str] = []
    if wanted not in base.get_known_choices():
        for found in pkgutil.iter_modules(module.__path__):
            if found.ispkg:
                try:
                    importlib.import_module(f"{package}.{found.name}")
                except Exception as error:
                    notes.append(f"{found.name}: {error}")
    known = sorted(base.get_known_choices())
    if wanted not in known:
        missing = f" Not loaded: {'; '.join(notes)}" if notes else ""
        raise RefusalError(f"LeRobot knows no type {wanted!r}; it knows {', '.join(known)}.{missing}")
    return base, notes


def _numbers(features: dict[str, Any]) -> list[str]:
    """Names of the features that are single numbers; LeRobot has two ways to describe them."""
    names = features.get("names")
    if isinstance(names, dict) and "dtype" in features:
        return list(names)
    return [name for name, what in features.items() if what in (float, int)]


def _plain(values: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in values.items():
        array = np.asarray(value)
        if array.size == 1 and array.dtype.kind in "fiub":
            number = float(array.reshape(-1)[0])
            if not np.isfinite(number):
                raise RefusalError(f"{name} is {number}")
            found[name] = number
    return found


def _version() -> str:
    return str(getattr(importlib.import_module("lerobot"), "__version__", ""))


if __name__ == "__main__":
    answers_to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # LeRobot prints
    requests_from = os.dup(0)
    with open(os.devnull) as nothing:  # a device that asks a question gets the end of the input
        os.dup2(nothing.fileno(), 0)
    hosted = importlib.import_module("policy_worker").HostedPolicy() if "policy" in sys.argv[1:] else Device()
    serve(hosted, requests_from, answers_to)
