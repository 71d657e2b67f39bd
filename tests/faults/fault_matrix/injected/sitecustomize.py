"""Loaded by each process of a station under test: makes a camera or an encoder fail while a file is there."""

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

FLAGS = Path(os.environ.get("TELEOP_FAULT_FLAGS", "/nonexistent"))
FAILING_CAMERA = "overhead"


def patch_cameras(module: Any) -> None:
    from teleop_app.core.errors import DeviceError

    grab = module.SyntheticFrameSource.grab

    def failing(self: Any, camera: str, out: Any) -> int:
        if camera == FAILING_CAMERA and (FLAGS / "camera-stops").exists():
            raise DeviceError(f"The camera '{camera}' delivers nothing", next_step="Check its cable")
        return grab(self, camera, out)

    module.SyntheticFrameSource.grab = failing


def patch_encoder(module: Any) -> None:
    from teleop_app.core.errors import DeviceError

    encode = module.H264Encoder.encode
    first: list[int] = []

    def failing(self: Any, *arguments: Any, **named: Any) -> bytes:
        first[:] = first or [id(self)]
        if (FLAGS / "encoder-dies").exists() and id(self) == first[0]:
            raise DeviceError("The encoder broke off")
        return encode(self, *arguments, **named)

    module.H264Encoder.encode = failing


PATCHES: dict[str, Callable[[Any], None]] = {
    "devices.cameras.synthetic": patch_cameras,
    "recorders.video": patch_encoder,
}


class Patcher(importlib.abc.MetaPathFinder):
    """Changes a module right after it was loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        patch = PATCHES.pop(name, None)
        spec = importlib.machinery.PathFinder.find_spec(name, path) if patch else None
        if patch is None or spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_patch(module: ModuleType) -> None:
            load(module)
            patch(module)

        spec.loader.exec_module = load_and_patch
        return spec


if FLAGS.is_dir():
    sys.meta_path.insert(0, Patcher())
