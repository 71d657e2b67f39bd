"""The policies of a store, and the texts that new policy files start from."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy_cell import ToyKinematics, layout, view

from teleop_app.autonomy.actions import ActionDecoder
from teleop_app.autonomy.fit import fit
from teleop_app.autonomy.observation import ObservationBuilder
from teleop_app.autonomy.policy_file import parse_policy
from teleop_app.autonomy.policy_library import PolicyLibrary
from teleop_app.autonomy.policy_templates import TEMPLATES, TemplateCell, template
from teleop_app.autonomy.registry import find_driver
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import PolicyFacts

CELL = TemplateCell.of(layout())
ONE_ARM = TemplateCell((("arm", 7),), ("front", "wrist"))
GOOD = 'title = "Pick"\ndriver = "openpi"\n[action]\nparts = ["left/joints"]\n'


def library(folder: Path) -> PolicyLibrary:
    return PolicyLibrary(folder, CELL)


def test_every_store_has_the_built_in_policies(tmp_path: Path) -> None:
    found = library(tmp_path / "policies").entries()
    assert [(entry.name, entry.driver, entry.path, entry.problem) for entry in found] == [
        ("hold", "hold", None, ""),
        ("scripted", "scripted", None, ""),
    ]
    scripted = library(tmp_path).load("scripted")
    assert (scripted.rate_hz, scripted.horizon, scripted.execute) == (20.0, 16, 8)
    assert scripted.observation.keys == ("state", "truth", "task")
    assert scripted.action.parts == ["left/joints", "left/gripper", "right/joints", "right/gripper"]


def test_files_are_listed_by_name_and_broken_ones_with_their_sentence(tmp_path: Path) -> None:
    (tmp_path / "pick.toml").write_text(GOOD)
    (tmp_path / "broken.toml").write_text(GOOD + "width = -1\n")
    (tmp_path / "Wrong Name.toml").write_text(GOOD)
    (tmp_path / "stats.json").write_text("{}")
    (tmp_path / "folder.toml").mkdir()
    found = {entry.name: entry for entry in library(tmp_path).entries()}
    assert list(found) == ["Wrong Name", "broken", "pick", "hold", "scripted"]
    assert (found["pick"].title, found["pick"].driver, found["pick"].problem) == ("Pick", "openpi", "")
    assert "has 1 wrong field: action.width: input should be greater" in found["broken"].problem
    assert "name: string should match pattern" in found["Wrong Name"].problem
    assert library(tmp_path).load("pick").title == "Pick"
    with pytest.raises(PolicyError, match="action.width"):
        library(tmp_path).load("broken")


def test_a_file_takes_the_place_of_the_built_in_policy(tmp_path: Path) -> None:
    text = template("scripted", CELL).replace("[observation]", "[options]\nerror_rate = 0.9\n\n[observation]")
    path = library(tmp_path).path_of("scripted")
    path.write_text(text)
    found = [entry for entry in library(tmp_path).entries() if entry.name == "scripted"]
    assert [entry.path for entry in found] == [path]
    assert library(tmp_path).load("scripted").options == {"error_rate": 0.9}


@pytest.mark.parametrize("name", ["place", "../place", "", "/etc/passwd", "scripted.toml"])
def test_a_policy_that_is_not_there(tmp_path: Path, name: str) -> None:
    (tmp_path.parent / "place.toml").write_text(GOOD)
    with pytest.raises(PolicyError, match="There is no policy .* Choose one of: hold, scripted; or create"):
        library(tmp_path).load(name)


def test_too_many_files_are_not_read(tmp_path: Path) -> None:
    for number in range(501):
        (tmp_path / f"p{number}.toml").touch()
    with pytest.raises(PolicyError, match=r"501 policy files \(limit 500\)"):
        library(tmp_path).entries()


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_fits_the_station_that_it_is_made_for(name: str) -> None:
    cell = replace(
        layout(), cameras={"overhead": (640, 480), "left_wrist": (320, 240), "right_wrist": (320, 240)}
    )
    policy = parse_policy(template(name, TemplateCell.of(cell)), name)
    levels = {check.what: check.level for check in fit(policy, cell, PolicyFacts())}
    assert set(levels.values()) == {"ok"}, levels
    seen = view()
    picture = seen.cameras["top"]
    seen = replace(seen, cameras=dict.fromkeys(cell.cameras, picture))
    kinematics = ToyKinematics()
    assert ObservationBuilder(policy, cell, kinematics).build(seen)
    decoder = ActionDecoder(policy, cell, kinematics)
    chunk = np.tile(seen.measured, (policy.horizon, 1))
    assert np.allclose(decoder.decode(decoder.encode(chunk, seen), seen), chunk, atol=1e-5)


@pytest.mark.parametrize("name", TEMPLATES)
def test_settings_of_a_template_are_its_drivers(name: str) -> None:
    policy = parse_policy(template(name, CELL), name)
    find_driver(policy.driver).options.model_validate(policy.options)


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "openpi-aloha"])
def test_a_template_for_one_arm_and_for_no_camera(name: str) -> None:
    for cell in (ONE_ARM, TemplateCell((("arm", 6),), ())):
        policy = parse_policy(template(name, cell), name)
        assert all(part.startswith("arm/") for part in policy.action.parts)


def test_aloha_needs_two_arms() -> None:
    with pytest.raises(PolicyError, match="two arms, and this station has one"):
        template("openpi-aloha", ONE_ARM)


def test_cameras_go_where_they_look() -> None:
    cell = TemplateCell((("left", 6), ("right", 6)), ("right_wrist", "overhead", "left_wrist"))
    aloha = tomllib.loads(template("openpi-aloha", cell))
    assert {image["key"]: image["camera"] for image in aloha["observation"]["images"]} == {
        "images/cam_high": "overhead",
        "images/cam_left_wrist": "left_wrist",
        "images/cam_right_wrist": "right_wrist",
    }
    droid = tomllib.loads(template("openpi-droid", ONE_ARM))
    assert [image["camera"] for image in droid["observation"]["images"]] == ["front", "wrist"]
    qwen = tomllib.loads(template("qwen-vla", CELL))
    assert [image["key"] for image in qwen["observation"]["images"]] == ["ego", "cam_left_wrist"]
    assert (qwen["action"]["width"], qwen["action"]["convention"]) == (32, "chunk_delta")


def test_templates_that_cannot_be() -> None:
    with pytest.raises(PolicyError, match="no template 'pi9'. Choose one of: openpi, openpi-aloha"):
        template("pi9", CELL)
    with pytest.raises(PolicyError, match="needs an arm"):
        template("openpi", TemplateCell((), ()))


def test_the_examples_of_the_document_are_the_templates() -> None:
    text = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
    cell = TemplateCell((("left", 6), ("right", 6)), ("overhead", "left_wrist", "right_wrist"))
    shown = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    names = ["openpi", "groot", "starvla", "lerobot", "scripted", "qwen-vla"]
    for name in names:
        assert template(name, cell) in shown, f"docs/policies.md does not show the template {name} as it is"
    for name in TEMPLATES:
        assert f"`{name}`" in text
