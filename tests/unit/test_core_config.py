"""The station file: every field has its limits, every mistake its place and sentence."""

from pathlib import Path
from typing import get_args

import pytest

from teleop_app.core.config import (
    LatencySection,
    StationConfig,
    latencies_text,
    load_station,
    parse_station,
    station_text,
)
from teleop_app.core.errors import ConfigError

WRONG_FIELDS = {
    "station.name": '[station]\nname = ""',
    "station.embodiment": "[station]\nembodiment = 3",
    "control.rate_hz": "[control]\nrate_hz = 10",
    "control.realtime_priority": "[control]\nrealtime_priority = 99",
    "simulation.look": '[simulation]\nlook = "glossy"',
    "simulation.task": "[simulation]\ntask = 7",
    "simulation.seed": "[simulation]\nseed = -1",
    "arms": "arms = []",
    "arms[0].name": '[[arms]]\nname = "../x"\nworkspace_min=[0,0,0]\nworkspace_max=[1,1,1]',
    "arms[0].follower": '[[arms]]\nname="a"\nfollower=1\nworkspace_min=[0,0,0]\nworkspace_max=[1,1,1]',
    "arms[0].workspace_min": '[[arms]]\nname = "a"\nworkspace_min=[0,0]\nworkspace_max=[1,1,1]',
    "arms[0].workspace_max[2]": '[[arms]]\nname = "a"\nworkspace_min=[0,0,0]\nworkspace_max=[1,1,nan]',
    "arms[0]": '[[arms]]\nname = "a"\nworkspace_min=[0,0,2]\nworkspace_max=[1,1,1]',
    "cameras": '[[cameras]]\nname = "a"\n[[cameras]]\nname = "a"',
    "cameras[0].name": '[[cameras]]\nname = "A b"',
    "cameras[0].driver": '[[cameras]]\nname = "a"\ndriver = 1',
    "cameras[0].width": '[[cameras]]\nname = "a"\nwidth = 9999\nheight = 480',
    "cameras[0].height": '[[cameras]]\nname = "a"\nwidth = 640\nheight = -2',
    "cameras[0].fps": '[[cameras]]\nname = "a"\nfps = 1000',
    "cameras[0].depth": '[[cameras]]\nname = "a"\ndepth = "deep"',
    "cameras[0] ": '[[cameras]]\nname = "a"\nwidth = 641\nheight = 480',
    "cameras[0].emulated_latency_ms": '[[cameras]]\nname = "a"\nemulated_latency_ms = -1',
    "cameras[0]  ": '[[cameras]]\nname = "a"\nemulated_latency_ms = 20',
    "latencies": '[[latencies]]\nstream = "a"\nlatency_ms = 1\n[[latencies]]\nstream = "a"\nlatency_ms = 1',
    "latencies[0].stream": '[[latencies]]\nstream = "../a"\nlatency_ms = 1',
    "latencies[0].latency_ms": '[[latencies]]\nstream = "a"\nlatency_ms = -1',
    "latencies[0].spread_ms": '[[latencies]]\nstream = "a"\nlatency_ms = 1\nspread_ms = nan',
    "latencies[0].method": '[[latencies]]\nstream = "a"\nlatency_ms = 1\nmethod = "guess"',
    "latencies[0].measured_utc": '[[latencies]]\nstream = "a"\nlatency_ms = 1\nmeasured_utc = 7',
    "mapping.scale": "[mapping]\nscale = 0",
    "mapping.yaw_deg": "[mapping]\nyaw_deg = 400",
    "mapping.filter": '[mapping]\nfilter = "often"',
    "mapping.filter_min_cutoff_hz": "[mapping]\nfilter_min_cutoff_hz = inf",
    "mapping.filter_beta": "[mapping]\nfilter_beta = -1",
    "mapping.key_speed_m_s": "[mapping]\nkey_speed_m_s = 9",
    "mapping.key_turn_rad_s": "[mapping]\nkey_turn_rad_s = 0",
    "safety": "[safety]\nstale_hold_ms = 600\nstale_release_ms = 500",
    "safety.stale_hold_ms": "[safety]\nstale_hold_ms = 1",
    "safety.stale_release_ms": "[safety]\nstale_release_ms = 1e9",
    "safety.follower_stale_ms": "[safety]\nfollower_stale_ms = 0",
    "safety.command_stale_ms": "[safety]\ncommand_stale_ms = 5",
    "safety.max_joint_velocity_rad_s": "[safety]\nmax_joint_velocity_rad_s = 0",
    "safety.max_joint_acceleration_rad_s2": "[safety]\nmax_joint_acceleration_rad_s2 = 1e6",
    "safety.max_joint_jerk_rad_s3": "[safety]\nmax_joint_jerk_rad_s3 = nan",
    "safety.joint_margin_rad": "[safety]\njoint_margin_rad = -0.1",
    "safety.max_tcp_speed_m_s": "[safety]\nmax_tcp_speed_m_s = 50",
    "safety.max_input_jump_m": "[safety]\nmax_input_jump_m = 2",
    "safety.max_gripper_speed_per_s": "[safety]\nmax_gripper_speed_per_s = 0",
    "recording.preset": '[recording]\npreset = "placebo"',
    "recording.crf": "[recording]\ncrf = 60",
    "recording.keyframe_frames": "[recording]\nkeyframe_frames = 0",
    "recording.flush_s": "[recording]\nflush_s = 0",
    "recording.countdown_s": "[recording]\ncountdown_s = -1",
    "recording.autosave_s": "[recording]\nautosave_s = 1e6",
    "recording.headroom_mb": "[recording]\nheadroom_mb = 0",
    "recording.max_episode_s": "[recording]\nmax_episode_s = 0",
    "recording.preroll_s": "[recording]\npreroll_s = 31",
    "recording.segment_s": "[recording]\nsegment_s = 0",
    "recording.encoder": '[recording]\nencoder = "magic"',
    "inputs.gamepad": "[inputs]\ngamepad = 2",
    "inputs.sounds": '[inputs]\nsounds = "loud"',
    "arms[0].model": '[[arms]]\nname="a"\nmodel=""\nworkspace_min=[0,0,0]\nworkspace_max=[1,1,1]',
    "arms[0].base_position": '[[arms]]\nname="a"\nbase_position=[0,0]',
    "arms[0].base_yaw_deg": '[[arms]]\nname="a"\nbase_yaw_deg=400',
    "arms[0].options": '[[arms]]\nname="a"\noptions=3\nworkspace_min=[0,0,0]\nworkspace_max=[1,1,1]',
    "cameras[0].options": '[[cameras]]\nname = "a"\noptions = 3',
    "mapping.precision_scale": "[mapping]\nprecision_scale = 2",
    "mapping.nudge_m": "[mapping]\nnudge_m = 1",
    "mapping.nudge_deg": "[mapping]\nnudge_deg = 0",
    "mapping.posture_weight": "[mapping]\nposture_weight = -1",
    "mapping.symmetry": '[mapping]\nsymmetry = "often"',
    "mapping.align_limit_rad": "[mapping]\nalign_limit_rad = 0",
    "mapping.align_tolerance_rad": "[mapping]\nalign_tolerance_rad = 2",
    "safety.deadman": '[safety]\ndeadman = "A b"',
    "safety.singularity_slow": "[safety]\nsingularity_slow = -1",
    "safety.singularity_stop": "[safety]\nsingularity_stop = nan",
    "safety ": "[safety]\nsingularity_stop = 0.5",
    "safety.collision_slow_m": "[safety]\ncollision_slow_m = 9",
    "safety.collision_stop_m": "[safety]\ncollision_stop_m = -1",
    "inputs.devices": "[inputs]\ndevices = 3",
    "inputs.devices[0].driver": '[[inputs.devices]]\nname = "a"\ndriver = "A b"',
    "inputs.devices[0].arms[0]": '[[inputs.devices]]\nname = "a"\ndriver = "b"\narms = ["A b"]',
    "sensors[0].name": '[[sensors]]\nname = "A b"\ndriver = "b"',
    "sensors[0].driver": '[[sensors]]\nname = "a"\ndriver = 3',
    "sensors[0].options": '[[sensors]]\nname = "a"\ndriver = "b"\noptions = 3',
    "hands[0].name": '[[hands]]\nname = "A b"\ndriver = "b"\narm = "left"',
    "hands[0].arm": '[[hands]]\nname = "a"\ndriver = "b"\narm = "A b"',
    "hands[0].driver": '[[hands]]\nname = "a"\ndriver = 3\narm = "left"',
    "hands[0].options": '[[hands]]\nname = "a"\ndriver = "b"\narm = "left"\noptions = 3',
    "mobile_base.driver": '[mobile_base]\ndriver = "A b"',
    "mobile_base.max_speed_m_s": "[mobile_base]\nmax_speed_m_s = 50",
    "mobile_base.max_turn_rad_s": "[mobile_base]\nmax_turn_rad_s = nan",
    "mobile_base.max_acceleration_m_s2": "[mobile_base]\nmax_acceleration_m_s2 = 0",
    "mobile_base.max_turn_acceleration_rad_s2": "[mobile_base]\nmax_turn_acceleration_rad_s2 = 0",
    "mobile_base.options": "[mobile_base]\noptions = 3",
    "lift.driver": '[lift]\ndriver = "A b"',
    "lift.lower_m": "[lift]\nlower_m = -9",
    "lift.upper_m": "[lift]\nupper_m = 9",
    "lift.max_speed_m_s": "[lift]\nmax_speed_m_s = 0",
    "lift.max_acceleration_m_s2": "[lift]\nmax_acceleration_m_s2 = inf",
    "lift.options": "[lift]\noptions = 3",
    "autonomy.max_joint_velocity_rad_s": "[autonomy]\nmax_joint_velocity_rad_s = 0",
    "autonomy.max_tcp_speed_m_s": "[autonomy]\nmax_tcp_speed_m_s = inf",
    "autonomy.max_jump_rad": "[autonomy]\nmax_jump_rad = 0",
    "autonomy.first_run_speed": "[autonomy]\nfirst_run_speed = 2",
    "autonomy.speed": "[autonomy]\nspeed = 0",
    "autonomy.starve_pause_s": "[autonomy]\nstarve_pause_s = 0",
    "autonomy.stale_chunk_ms": "[autonomy]\nstale_chunk_ms = 1",
    "autonomy.return_on_release": '[autonomy]\nreturn_on_release = "later"',
    "autonomy.blend": "[autonomy]\nblend = 1.5",
    "autonomy.blend_by_confidence": '[autonomy]\nblend_by_confidence = "often"',
    "autonomy.takeover": '[autonomy]\ntakeover = "grab"',
    "autonomy.rewind_s": "[autonomy]\nrewind_s = 99",
    "autonomy.help_per_minute": "[autonomy]\nhelp_per_minute = -1",
    "autonomy.help_holds": '[autonomy]\nhelp_holds = "never"',
    "autonomy.seize_rad": "[autonomy]\nseize_rad = 0",
    "file": '[[inputs.devices]]\nname = "a"\ndriver = "b"\narms = ["third"]',
    "file ": '[safety]\ndeadman = "pedal"',
    "file  ": '[[inputs.devices]]\nname = "keyboard"\ndriver = "b"',
    "safety.max_speed": "[safety]\nmax_speed = 1",
    "arm": "[[arm]]\nname = 'a'",
}


@pytest.mark.parametrize("place", WRONG_FIELDS)
def test_each_wrong_field_is_named(place: str) -> None:
    with pytest.raises(ConfigError, match=r"station.toml has \d+ wrong field") as caught:
        parse_station(WRONG_FIELDS[place])
    assert f"{place.strip()}: " in caught.value.why
    assert "Setup page" in caught.value.next_step


LISTS = ("arms", "cameras", "latencies", "sensors", "hands")


def test_every_field_of_the_station_file_has_such_a_test() -> None:
    fields: set[str] = set()
    for section, field in StationConfig.model_fields.items():
        model = field.annotation
        if section in LISTS:
            (model,) = get_args(model)
        prefix = f"{section}[0]" if section in LISTS else section
        fields |= {f"{prefix}.{name}" for name in model.model_fields}  # type: ignore[union-attr]
    tested = {place.split("[2]")[0].strip() for place in WRONG_FIELDS}
    assert fields <= tested, fields - tested


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match="2 wrong fields") as caught:
        parse_station("[control]\nrate_hz = 1\n[recording]\ncrf = 99")
    assert "rate_hz" in caught.value.why and "crf" in caught.value.why


def test_the_defaults_survive_a_round_trip() -> None:
    assert parse_station(station_text(StationConfig())) == StationConfig()


def test_comments_survive_an_edit() -> None:
    text = "# our cell\n[control]\nrate_hz = 200  # measured\n"
    config = parse_station(text)
    config.control.realtime_priority = 10
    edited = station_text(config, text)
    assert "# our cell" in edited and "rate_hz = 200  # measured" in edited
    assert parse_station(edited) == config


def test_a_calibration_leaves_the_rest_of_the_file_alone():
    text = '# our cell\n[[cameras]]\nname = "front"  # the good one\ndriver = "synthetic"\n'
    config = parse_station(text)
    assert config.latency_ns("front") == 0
    edited = latencies_text([LatencySection(stream="front", latency_ms=34.5, method="barcode")], text)
    assert edited.startswith(text)
    assert parse_station(edited).latency_ns("front") == 34_500_000
    assert parse_station(edited).latency_ns("other") == 0
    again = latencies_text([LatencySection(stream="other", latency_ms=1.0)], edited)
    assert again.startswith(text)
    assert parse_station(again).latency_ns("front") == 0
    assert parse_station(station_text(parse_station(again), again)) == parse_station(again)


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "does not exist"), (b"[station", "not valid TOML"), (b"\xff\xfe\x00", "cannot be read")],
)
def test_unreadable_files_are_sentences(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "station.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        load_station(path)
