"""A headless OpenXR session: instance, session, action set, and what they say now. One thread."""

from __future__ import annotations

import ctypes
import logging
from types import ModuleType
from typing import Any, Final

import numpy as np

from devices.vr.frames import operator_from_openxr
from devices.vr.openxr_bindings import BINDINGS, BUTTONS, FLOATS, NEEDS, POSES, PROFILES, hand_path
from devices.vr.protocol import HANDS, Controller, XrFrame
from teleop_app.core.clock import NS_PER_MS, NS_PER_S
from teleop_app.core.errors import DeviceError
from teleop_app.core.types import Array

logger = logging.getLogger(__name__)

HEADLESS: Final = "XR_MND_headless"
TIMESPEC: Final = "XR_KHR_convert_timespec_time"
_PRESSED_AT: Final = 0.5
# XrSpaceLocationFlagBits.
_VALID: Final = 1 | 2
_TRACKED: Final = 4 | 8


class OpenXrSession:
    """Reads both controllers and the head.

    Args:
        xr: The module of pyopenxr.
        name: Of the input, for sentences.

    Raises:
        DeviceError: No runtime runs, it cannot run without pictures, or no headset is connected.
    """

    def __init__(self, xr: ModuleType, name: str) -> None:
        self._xr = xr
        self._name = name
        self._actions: dict[str, Any] = {}
        self._spaces: dict[tuple[str, str], Any] = {}
        self._hands: dict[str, Any] = {}
        self._state: Any = xr.SessionState.UNKNOWN
        self._running = False
        self._seq = self._resets = 0
        self._change_time = 0
        self._instance: Any = None
        self._session: Any = None
        self.runtime = ""
        try:
            self._open()
        except xr.exception.XrException as error:
            self.close()
            raise no_session(xr, error) from error
        except DeviceError:
            self.close()
            raise

    @property
    def focused(self) -> bool:
        """The runtime gives this program the controllers."""
        return self._state == self._xr.SessionState.FOCUSED

    def frame(self, now_ns: int) -> XrFrame | None:
        """What headset and controllers do now; None while the session does not run.

        Raises:
            DeviceError: The runtime has gone, or ends the session.
        """
        xr = self._xr
        try:
            self._events()
            if not self._running:
                return None
            time = self._time(now_ns)
            if self._change_time and time >= self._change_time:
                self._change_time = 0
                self._resets += 1  # from here on the poses are those of the new space
            controllers = self._controllers(time) if self.focused and self._sync() else {}
            self._seq += 1
            return XrFrame(
                seq=self._seq,
                resets=self._resets,
                device_ns=now_ns,
                sent_ns=now_ns,
                visible=self.focused,
                head=self._pose(self._head, time),
                controllers=controllers,
            )
        except xr.exception.XrException as error:
            raise lost(self._name, str(error)) from error

    def pulse(self, hand: str, strength: float, length_ms: int) -> None:
        """Let a controller vibrate.

        Raises:
            DeviceError: The runtime has gone.
        """
        xr = self._xr
        if not self.focused:
            return
        info = xr.HapticActionInfo(action=self._actions["haptic"], subaction_path=self._hands[hand])
        vibration = xr.HapticVibration(duration=length_ms * NS_PER_MS, frequency=0.0, amplitude=strength)
        try:
            xr.apply_haptic_feedback(self._session, info, vibration)
        except xr.exception.XrException as error:
            raise lost(self._name, str(error)) from error

    def close(self) -> None:
        """End the session. May be called twice."""
        xr = self._xr
        session, self._session = self._session, None
        instance, self._instance = self._instance, None
        for handle, destroy in ((session, xr.destroy_session), (instance, xr.destroy_instance)):
            if handle is not None:
                try:
                    destroy(handle)
                except xr.exception.XrException as error:  # the runtime has gone: nothing is left to end
                    logger.info("OpenXR: %s", error)

    # Opening.

    def _open(self) -> None:
        xr = self._xr
        offered = {each.extension_name.decode() for each in xr.enumerate_instance_extension_properties()}
        wanted = [HEADLESS, TIMESPEC, *(each for each in set(NEEDS.values()) if each in offered)]
        if missing := [each for each in (HEADLESS, TIMESPEC) if each not in offered]:
            raise DeviceError(
                "This OpenXR runtime cannot give controllers to a program that shows no pictures",
                why=f"it does not offer {' and '.join(missing)}",
                next_step="Choose another runtime, e.g. Monado, or drive by the headset's browser (webxr)",
            )
        self._instance = xr.create_instance(
            xr.InstanceCreateInfo(
                application_info=xr.ApplicationInfo(application_name="teleop-app"),
                enabled_extension_names=wanted,
            )
        )
        self.runtime = xr.get_instance_properties(self._instance).runtime_name.decode()
        system = xr.get_system(self._instance, xr.SystemGetInfo())
        self._session = xr.create_session(self._instance, xr.SessionCreateInfo(system_id=system))
        self._to_time = _time_converter(xr, self._instance)
        self._make_actions(set(wanted))
        self._local = xr.create_reference_space(
            self._session, xr.ReferenceSpaceCreateInfo(xr.ReferenceSpaceType.LOCAL)
        )
        self._head = xr.create_reference_space(
            self._session, xr.ReferenceSpaceCreateInfo(xr.ReferenceSpaceType.VIEW)
        )

    def _make_actions(self, extensions: set[str]) -> None:
        xr = self._xr
        self._hands = {hand: xr.string_to_path(self._instance, hand_path(hand)) for hand in HANDS}
        self._set = xr.create_action_set(
            self._instance, xr.ActionSetCreateInfo("teleoperation", "Teleoperation", 0)
        )
        kinds = {
            **dict.fromkeys(POSES, xr.ActionType.POSE_INPUT),
            **dict.fromkeys(FLOATS, xr.ActionType.FLOAT_INPUT),
            **dict.fromkeys(BUTTONS, xr.ActionType.BOOLEAN_INPUT),
            "thumbstick": xr.ActionType.VECTOR2F_INPUT,
            "haptic": xr.ActionType.VIBRATION_OUTPUT,
        }
        for name, kind in kinds.items():
            self._actions[name] = xr.create_action(
                self._set,
                xr.ActionCreateInfo(
                    action_name=name,
                    action_type=kind,
                    subaction_paths=list(self._hands.values()),
                    localized_action_name=name.capitalize(),
                ),
            )
        accepted = [
            each for each in BINDINGS if NEEDS.get(each, "") in {"", *extensions} and self._bind(each)
        ]
        if not accepted:
            raise DeviceError(f"The OpenXR runtime {self.runtime!r} knows none of the controllers")
        xr.attach_session_action_sets(self._session, xr.SessionActionSetsAttachInfo(action_sets=[self._set]))
        self._spaces = {
            (hand, pose): xr.create_action_space(
                self._session, xr.ActionSpaceCreateInfo(self._actions[pose], self._hands[hand])
            )
            for hand in HANDS
            for pose in POSES
        }

    def _bind(self, profile: str) -> bool:
        xr = self._xr
        bindings = [
            xr.ActionSuggestedBinding(
                self._actions[action], xr.string_to_path(self._instance, f"{hand_path(hand)}/{path}")
            )
            for hand, controls in BINDINGS[profile].items()
            for action, path in controls.items()
        ]
        try:
            xr.suggest_interaction_profile_bindings(
                self._instance,
                xr.InteractionProfileSuggestedBinding(
                    interaction_profile=xr.string_to_path(self._instance, PROFILES + profile),
                    suggested_bindings=bindings,
                ),
            )
        except xr.exception.XrException as error:
            logger.info("OpenXR: the runtime does not take %s: %s", profile, error)
            return False
        return True

    # Events.

    def _events(self) -> None:
        xr = self._xr
        while True:
            try:
                event = xr.poll_event(self._instance)
            except xr.EventUnavailable:
                return
            match xr.StructureType(event.type):
                case xr.StructureType.EVENT_DATA_SESSION_STATE_CHANGED:
                    changed = _as(event, xr.EventDataSessionStateChanged)
                    self._enter(xr.SessionState(changed.state))
                case xr.StructureType.EVENT_DATA_REFERENCE_SPACE_CHANGE_PENDING:
                    self._resets += 1
                    self._change_time = _as(event, xr.EventDataReferenceSpaceChangePending).change_time
                case xr.StructureType.EVENT_DATA_INSTANCE_LOSS_PENDING:
                    raise lost(self._name, "the runtime ends or restarts")

    def _enter(self, state: Any) -> None:
        xr = self._xr
        self._state = state
        match state:
            case xr.SessionState.READY:
                xr.begin_session(self._session, xr.SessionBeginInfo())
                self._running = True
            case xr.SessionState.STOPPING:
                self._running = False
                xr.end_session(self._session)
            case xr.SessionState.EXITING:
                raise lost(self._name, "the runtime ended the session")
            case xr.SessionState.LOSS_PENDING:
                raise lost(self._name, "the headset was disconnected")

    # Reading.

    def _time(self, now_ns: int) -> int:
        time = self._to_time(now_ns)
        if time <= 0:
            raise lost(self._name, "it does not tell the time")
        return time

    def _sync(self) -> bool:
        xr = self._xr
        active = xr.ActiveActionSet(action_set=self._set, subaction_path=0)
        try:
            xr.sync_actions(self._session, xr.ActionsSyncInfo(active_action_sets=[active]))
        except xr.SessionNotFocused:
            return False
        return True

    def _controllers(self, time: int) -> dict[str, Controller]:
        xr = self._xr
        found: dict[str, Controller] = {}
        for hand in HANDS:
            if not self._read(xr.get_action_state_pose, "grip", hand).is_active:
                continue
            levels = {name: self._level(name, hand) for name in FLOATS}
            stick = self._read(xr.get_action_state_vector2f, "thumbstick", hand)
            pressed = {name for name in FLOATS if levels[name] > _PRESSED_AT}
            for name in BUTTONS:
                state = self._read(xr.get_action_state_boolean, name, hand)
                if state.is_active and state.current_state:
                    pressed.add(name)
            x, y = (stick.current_state.x, stick.current_state.y) if stick.is_active else (0.0, 0.0)
            found[hand] = Controller(
                hand=hand,
                grip=self._pose(self._spaces[hand, "grip"], time),
                aim=self._pose(self._spaces[hand, "aim"], time),
                joints=None,
                trigger=levels["trigger"],
                squeeze=levels["squeeze"],
                stick=(within(x), -within(y)),  # OpenXR: y away from the operator
                pressed=frozenset(pressed),
            )
        return found

    def _read(self, read: Any, action: str, hand: str) -> Any:
        return read(
            self._session,
            self._xr.ActionStateGetInfo(action=self._actions[action], subaction_path=self._hands[hand]),
        )

    def _level(self, action: str, hand: str) -> float:
        state = self._read(self._xr.get_action_state_float, action, hand)
        return max(0.0, within(state.current_state)) if state.is_active else 0.0

    def _pose(self, space: Any, time: int) -> Array | None:
        location = self._xr.locate_space(space, self._local, time)
        p, q = location.pose.position, location.pose.orientation
        return tracked_pose(int(location.location_flags), (p.x, p.y, p.z), (q.w, q.x, q.y, q.z))


def tracked_pose(
    flags: int, position: tuple[float, float, float], quat_wxyz: tuple[float, float, float, float]
) -> Array | None:
    """A pose in the operator's axes, shape (7,); None unless it is valid, finite and truly tracked.

    Args:
        flags: XrSpaceLocationFlags; a pose that is valid but not tracked is a guess.
        position: [m], OpenXR axes.
        quat_wxyz: Likewise.
    """
    if flags & (_VALID | _TRACKED) != (_VALID | _TRACKED):
        return None
    pose = np.array([*position, *quat_wxyz])
    norm = float(np.linalg.norm(pose[3:]))
    if not np.isfinite(pose).all() or abs(norm - 1.0) > 0.02:
        return None
    pose[3:] /= norm
    return operator_from_openxr(pose)


def within(value: float) -> float:
    """A stick's or trigger's value, -1 .. 1; 0 when it is not finite."""
    return min(1.0, max(-1.0, value)) if np.isfinite(value) else 0.0


def lost(name: str, why: str) -> DeviceError:
    """The session has ended."""
    return DeviceError(
        f"The OpenXR headset '{name}' was lost",
        why=why,
        next_step="Start its runtime and wake the headset; it is found by itself. Then squeeze anew",
    )


def no_session(xr: ModuleType, error: Exception) -> DeviceError:
    """Why there is no session, and what to do."""
    if isinstance(error, xr.exception.FormFactorUnavailableError | xr.exception.FormFactorUnsupportedError):
        return DeviceError(
            "The OpenXR runtime runs, but no headset is connected",
            why=str(error),
            next_step="Connect and wake the headset; it is found by itself",
        )
    return DeviceError(
        "No OpenXR runtime answers",
        why=str(error),
        next_step="Start one (Monado: monado-service, or SteamVR) and make it the active runtime "
        "(XR_RUNTIME_JSON or openxr/1/active_runtime.json)",
    )


def _as(event: Any, kind: Any) -> Any:
    return ctypes.cast(ctypes.byref(event), ctypes.POINTER(kind)).contents


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_longlong), ("tv_nsec", ctypes.c_long))


def _time_converter(xr: ModuleType, instance: Any) -> Any:
    """From CLOCK_MONOTONIC [ns] to XrTime; 0 where the runtime refuses.

    Not pyopenxr's own wrapper: its module imports OpenGL's GLX, which a headless computer need not have.
    """
    signature = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_Timespec), ctypes.POINTER(ctypes.c_int64)
    )
    function = xr.get_instance_proc_addr(instance, "xrConvertTimespecTimeToTimeKHR")
    convert = ctypes.cast(function, signature)
    handle = ctypes.cast(instance, ctypes.c_void_p)

    def to_time(now_ns: int) -> int:
        at, time = _Timespec(now_ns // NS_PER_S, now_ns % NS_PER_S), ctypes.c_int64()
        return time.value if convert(handle, ctypes.byref(at), ctypes.byref(time)) >= 0 else 0

    return to_time
