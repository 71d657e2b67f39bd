"""What a policy expects against what the station offers, item by item, before it may move anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from teleop_app.autonomy.action_checks import LONGEST
from teleop_app.autonomy.parts import joint_counts, places, unknown_arms
from teleop_app.autonomy.policy_file import Execution, PolicyFile
from teleop_app.autonomy.policy_sections import ActionSection, ImageInput, StateInput, channels
from teleop_app.autonomy.told import Told, shown, what_is_told
from teleop_app.autonomy.view import CellLayout
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyFacts
from teleop_app.core.types import PolicyCheck

OK: Final = "ok"
WARNING: Final = "warning"
MISMATCH: Final = "mismatch"
_SAME_RATE: Final = 0.01
_SAME_ASPECT: Final = 0.05
_MUCH_CUT_OFF: Final = 0.4
_MOST_NAMED: Final = 8
_NEEDS_NO_PROMPT: Final = ("hold", "replay", "scripted")


def fit(policy: PolicyFile, layout: CellLayout, facts: PolicyFacts) -> tuple[PolicyCheck, ...]:
    """Compare a policy with a station. Never raises, whatever the policy tells of itself.

    Args:
        policy: Its file.
        layout: What the station offers.
        facts: What it told when it was opened; nothing about them is trusted.
    """
    told = what_is_told(facts)
    checks: list[PolicyCheck] = []
    for index, image in enumerate(policy.observation.images):
        checks.append(_image(index, image, layout))
    for state in policy.observation.states:
        checks.append(_numbers(f"state {state.key}", state, layout))
    checks.append(_numbers("action", policy.action, layout))
    comparisons: tuple[Callable[[PolicyFile, CellLayout, Told], Iterator[PolicyCheck]], ...] = (
        _action_channels,
        _horizon,
        _rate,
        _prompt,
        _keys,
        _truth,
        _execution,
        _statistics,
        _nonsense,
    )
    for compare in comparisons:
        checks.extend(compare(policy, layout, told))
    return tuple(checks)


def _image(index: int, image: ImageInput, layout: CellLayout) -> PolicyCheck:
    what = f"image {image.key}"
    expects = f"{image.width}x{image.height} px of camera {image.camera}"
    size = layout.cameras.get(image.camera)
    if size is None:
        has = _listed(tuple(layout.cameras)) or "none"
        text = (
            f"This station has no camera {image.camera!r}. Its cameras are {has}: name one of them in "
            f"observation.images[{index}].camera"
        )
        return PolicyCheck(what, expects, "no such camera", MISMATCH, f"{text}.")
    width, height = size
    offers = f"{width}x{height} px, {image.fit}"
    if width <= 0 or height <= 0:
        text = f"Camera {image.camera!r} has not told its size yet. Check it on the Devices page."
        return PolicyCheck(what, expects, "a camera that gives no pictures", WARNING, text)
    text = ""
    wide = (image.width / image.height) / (width / height)
    if image.fit == "stretch" and abs(wide - 1.0) > _SAME_ASPECT:
        text = (
            "The picture is stretched. Use fit pad or crop, unless the policy was trained on stretched ones."
        )
    elif image.fit == "crop" and min(wide, 1.0 / wide) < 1.0 - _MUCH_CUT_OFF:
        cut = 100.0 * (1.0 - min(wide, 1.0 / wide))
        text = (
            f"{cut:.0f} % of the picture is cut off. Use fit pad, unless the policy was trained on such ones."
        )
    across, down = image.width / width, image.height / height
    if (min(across, down) if image.fit == "pad" else max(across, down)) > 1.0:
        text = (
            f"The camera gives fewer pixels than the policy looks at. Set a size of {image.width}x"
            f"{image.height} or more for {image.camera!r} in the station file."
        )
    return PolicyCheck(what, expects, offers, WARNING if text else OK, text)


def _numbers(what: str, section: StateInput | ActionSection, layout: CellLayout) -> PolicyCheck:
    """Whether the station has the parts, and statistics and width are theirs."""
    expects = ", ".join(section.parts)
    if missing := unknown_arms(section.parts, layout):
        text = f"This station has no arm {_listed(missing)}. Name its own in parts: {_listed(layout.arms)}."
        return PolicyCheck(what, expects, f"arms {_listed(layout.arms)}", MISMATCH, text)
    width = channels(section.parts, section.rotation, joint_counts(layout))
    offers = f"{width} channels" + (f", padded to {section.width}" if section.width else "")
    try:
        places(section, layout)
    except PolicyError as error:
        return PolicyCheck(what, expects, offers, MISMATCH, error.sentence)
    if isinstance(section, ActionSection):
        driven = {part.split("/")[0] for part in section.parts}
        if resting := [arm for arm in layout.arms if arm not in driven]:
            offers += f"; arm {_listed(resting)} keeps its place"
    return PolicyCheck(what, expects, offers, OK)


def _action_channels(policy: PolicyFile, layout: CellLayout, told: Told) -> Iterator[PolicyCheck]:
    """Channels that it sends against those that the file tells of."""
    parts = channels(policy.action.parts, policy.action.rotation, joint_counts(layout))
    described = policy.action.width or parts
    if not told.action_dim or described is None:
        return
    expects = f"the policy sends {told.action_dim} channels"
    offers = f"the policy file tells of {described}"
    if told.action_dim == described:
        yield PolicyCheck("action channels", expects, offers, OK)
    elif parts is not None and told.action_dim > parts:
        text = (
            f"Set action.width = {told.action_dim} if the parts are its first {parts} channels, or correct "
            "action.parts."
        )
        yield PolicyCheck("action channels", expects, offers, MISMATCH, text)
    else:
        text = "It sends fewer channels than the parts have. Correct action.parts of the policy file."
        yield PolicyCheck("action channels", expects, offers, MISMATCH, text)


def _horizon(policy: PolicyFile, _: CellLayout, told: Told) -> Iterator[PolicyCheck]:
    if not told.horizon:
        return
    expects = f"the policy sends {told.horizon} actions"
    offers = f"{policy.horizon} are expected, {policy.execute} of them executed"
    text, level = "", OK
    if told.horizon < policy.execute:
        level, text = (
            MISMATCH,
            f"It sends fewer than are to be executed. Set execute = {told.horizon} or less.",
        )
    elif told.horizon > LONGEST * policy.horizon:
        level, text = MISMATCH, f"Its chunks would be refused as too long. Set horizon = {told.horizon}."
    elif told.horizon != policy.horizon:
        level, text = WARNING, f"Set horizon = {told.horizon} in the policy file."
    yield PolicyCheck("horizon", expects, offers, level, text)


def _rate(policy: PolicyFile, layout: CellLayout, told: Told) -> Iterator[PolicyCheck]:
    given = f"{policy.rate_hz:g} Hz in the policy file"
    if told.rate_hz:
        expects = f"{told.rate_hz:g} Hz by the policy itself"
        same = abs(told.rate_hz / policy.rate_hz - 1.0) <= _SAME_RATE
        text = (
            f"Its motions would be {policy.rate_hz / told.rate_hz:.3g} times as fast as learnt. Set rate_hz "
            f"= {told.rate_hz:g}; a slower run is a matter of autonomy.speed of the station."
        )
        yield PolicyCheck("rate", expects, given, OK if same else MISMATCH, "" if same else text)
    control = f"control at {layout.control_rate_hz:g} Hz"
    if policy.rate_hz > layout.control_rate_hz:
        text = "Some of its actions would be skipped. Raise control.rate_hz of the station."
        yield PolicyCheck("control rate", given, control, WARNING, text)
    else:
        yield PolicyCheck("control rate", given, control, OK)


def _prompt(policy: PolicyFile, layout: CellLayout, told: Told) -> Iterator[PolicyCheck]:
    section = policy.observation
    if not section.prompt:
        if told.keys is None and policy.driver not in _NEEDS_NO_PROMPT:
            text = "The policy is not told what to do. Name the key of the instruction in observation.prompt."
            yield PolicyCheck("prompt", "no instruction", "the task's instruction", WARNING, text)
        return
    if "{instruction}" in section.template:
        yield PolicyCheck("prompt", f"{section.template:.60}", "the task's instruction", OK)
    else:
        text = "The prompt leaves out what is to be done. Put {instruction} into observation.template."
        yield PolicyCheck("prompt", f"{section.template:.60}", "the task's instruction", WARNING, text)
    if "{embodiment}" in section.template:
        missing = not layout.embodiment.strip()
        text = (
            "Describe the robot in station.embodiment, as the policy was trained with it." if missing else ""
        )
        offers = "no description" if missing else f"{layout.embodiment:.60}"
        yield PolicyCheck(
            "embodiment", "a description of the robot", offers, MISMATCH if missing else OK, text
        )


def _keys(policy: PolicyFile, _: CellLayout, told: Told) -> Iterator[PolicyCheck]:
    """Keys that the policy reads against those that the file gives."""
    if told.keys is None:
        return
    given = policy.observation.keys
    truth = policy.observation.truth

    def within(key: str, other: str) -> bool:
        return key == other or key.startswith(f"{other}/")

    lacking = [
        key
        for key in told.keys
        if not any(within(mine, key) for mine in given) and not (truth and within(key, truth))
    ]
    excess = [
        mine
        for mine in given
        if not any(within(mine, key) or (mine == truth and within(key, mine)) for key in told.keys)
    ]
    expects = _listed([shown(key) for key in told.keys]) or "nothing"
    offers = _listed(given) or "nothing"
    if lacking:
        named = _listed([shown(key) for key in lacking])
        text = f"The policy reads {named}, which the policy file does not give: add to [observation]."
        yield PolicyCheck("observation keys", expects, offers, MISMATCH, text)
    elif excess:
        text = (
            f"The policy does not read {_listed(excess)}. Leave it out of [observation], or correct its key."
        )
        yield PolicyCheck("observation keys", expects, offers, WARNING, text)
    else:
        yield PolicyCheck("observation keys", expects, offers, OK)


def _truth(policy: PolicyFile, layout: CellLayout, _: Told) -> Iterator[PolicyCheck]:
    if not policy.observation.truth:
        return
    if layout.simulated:
        yield PolicyCheck("truth", "poses of the objects", "the simulated cell's", OK)
    else:
        text = "Only the simulated cell knows where its objects are. Choose a policy that looks for itself."
        yield PolicyCheck("truth", "poses of the objects", "a real cell, which knows none", MISMATCH, text)


def _execution(policy: PolicyFile, _: CellLayout, told: Told) -> Iterator[PolicyCheck]:
    if policy.execution is Execution.RTC:
        text = "" if told.prefix else "Chunks are joined by switching over instead. Set execution = 'switch'."
        offers = "it continues a chunk" if told.prefix else "the policy cannot continue a chunk"
        yield PolicyCheck("execution", "real-time chunking", offers, WARNING if text else OK, text)
    if policy.samples > 1:
        text = (
            ""
            if told.samples
            else "Its uncertainty is not known: it will not ask for help by it. Set samples = 1."
        )
        offers = "it draws several" if told.samples else "the policy draws one at a time"
        yield PolicyCheck(
            "samples", f"{policy.samples} chunks at a time", offers, WARNING if text else OK, text
        )


def _statistics(policy: PolicyFile, _: CellLayout, told: Told) -> Iterator[PolicyCheck]:
    if told.normalised and policy.action.statistics.kind == "none":
        text = (
            "If the policy answers with normalised actions, give the numbers of its training in "
            "action.statistics; else they would be taken for radians and metres."
        )
        yield PolicyCheck("statistics", f"the policy tells: {told.normalised}", "none", WARNING, text)


def _nonsense(_: PolicyFile, __: CellLayout, told: Told) -> Iterator[PolicyCheck]:
    if told.nonsense:
        text = "What it tells of itself is not to be relied on, and was ignored. Check the server."
        yield PolicyCheck("metadata", "numbers that can be", _listed(told.nonsense), WARNING, text)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
