"""Runs in the peers' environment: loads an episode file with rerun-sdk; prints what it found as JSON."""

import hashlib
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
from rerun.chunk import McapReader

TIME = "message_log_time"


def columns(path: str) -> dict[str, dict[str, list[Any]]]:
    """By entity path and column, the values of all rows; times in ns."""
    found: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for chunk in McapReader(path).stream():
        batch = chunk.to_record_batch()
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name == TIME:
                column = column.cast("int64")
            elif pa.types.is_temporal(column.type) or name.startswith("rerun."):
                continue
            found[chunk.entity_path][name].extend(column.to_pylist())
    return found


def pairs(parents: list[Any], children: list[Any]) -> list[tuple[str, str]]:
    """Each pair of frames once."""
    return sorted({(p[0], c[0]) for p, c in zip(parents, children, strict=True) if p and c})


def load(path: str) -> dict[str, Any]:
    """What the viewer would show."""
    found = columns(path)
    videos, streams, joints = {}, {}, {}
    for entity, columns_ in found.items():
        if "VideoStream:sample" in columns_:
            samples = [bytes(sample[0]) for sample in columns_["VideoStream:sample"] if sample]
            (frame,) = {frame[0] for frame in columns_["CoordinateFrame:frame"] if frame}
            lens = found[entity.replace("/video", "/calibration")]
            videos[entity] = {
                "frames": len(samples),
                "sha256": hashlib.sha256(b"".join(samples)).hexdigest(),
                "frame_id": frame,
                "pinhole": pairs(lens["Pinhole:parent_frame"], lens["Pinhole:child_frame"]),
            }
        if "teleop.Sample:message" in columns_:
            streams[entity] = {
                "times": columns_[TIME],
                "values": [row[0]["values"] for row in columns_["teleop.Sample:message"]],
            }
        if "foxglove.JointStates:message" in columns_:
            rows = [row[0]["joints"] for row in columns_["foxglove.JointStates:message"]]
            joints[entity] = {
                "names": [joint["name"] for joint in rows[0]],
                "positions": [[joint["position"] for joint in row] for row in rows],
            }
    tf = found["/tf"]
    shapes = [entity for entity in found if "visual_geometries" in entity]
    return {
        "entities": {entity: sorted(columns_) for entity, columns_ in found.items()},
        "videos": videos,
        "streams": streams,
        "joints": joints,
        "transforms": pairs(tf["Transform3D:parent_frame"], tf["Transform3D:child_frame"]),
        "shape_frames": sorted(
            {frame[0] for e in shapes for frame in found[e]["CoordinateFrame:frame"] if frame}
        ),
        "boxes": sum("Boxes3D:half_sizes" in found[entity] for entity in shapes),
    }


def check(path: str) -> dict[str, Any]:
    """What rerun's own checker says about the file."""
    rerun = Path(sys.executable).with_name("rerun")
    done = subprocess.run(
        [str(rerun), "mcap", "check", "--full", path], capture_output=True, text=True, timeout=100
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    rows = [line for line in lines if len(line) > 3 and line[1].isdigit()]
    return {
        "code": done.returncode,
        "topics": sorted(line[3] for line in rows),
        "findings": [" ".join(line) for line in rows if line[0] != "ok"],
        "said": done.stdout + done.stderr,
    }


if __name__ == "__main__":
    task = {"load": load, "check": check}[sys.argv[1]]
    print(json.dumps(task(sys.argv[2])))
