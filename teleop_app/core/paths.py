"""Where things lie: the data directory, the run directory of a station, shared memory."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from teleop_app.core.errors import StorageError

DATA_DIR_VARIABLE = "TELEOP_DATA_DIR"


@dataclass(frozen=True, slots=True)
class DataDir:
    """The store of one station: its configuration, catalog and episodes.

    Attributes:
        root: Absolute path.
    """

    root: Path

    @classmethod
    def choose(cls, option: Path | str | None = None) -> DataDir:
        """`option`, else `TELEOP_DATA_DIR`, else the user's data directory."""
        chosen = (
            option or os.environ.get(DATA_DIR_VARIABLE) or platformdirs.user_data_dir("teleop-app", False)
        )
        return cls(Path(chosen).expanduser().resolve())

    def create(self) -> DataDir:
        """Make the directory and its parts, and prove that it can be written.

        Raises:
            StorageError: It cannot be created or written.
        """
        try:
            for folder in (self.root, self.episodes, self.open, self.damaged, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(b"x")
        except OSError as error:
            raise StorageError(
                f"The data directory {self.root} cannot be written",
                why=error.strerror or str(error),
                next_step="Free space, fix its permissions, or choose another one with --data-dir",
            ) from error
        return self

    @property
    def station_file(self) -> Path:
        """The station file used when none is named."""
        return self.root / "station.toml"

    @property
    def catalog(self) -> Path:
        """The SQLite catalog."""
        return self.root / "catalog.sqlite"

    @property
    def episodes(self) -> Path:
        """Finished episodes, `<uuid>.mcap`."""
        return self.root / "episodes"

    @property
    def open(self) -> Path:
        """Episodes being recorded, or left by a crash."""
        return self.root / "open"

    @property
    def damaged(self) -> Path:
        """What recovery could not read, kept untouched."""
        return self.root / "damaged"

    @property
    def logs(self) -> Path:
        """Log files of the station processes."""
        return self.root / "logs"

    @property
    def calibrations(self) -> Path:
        """Calibrations of leaders, followers and cameras, one file a device (`core.calibration`)."""
        return self.root / "calibrations"

    @property
    def policies(self) -> Path:
        """Policy files, `<name>.toml` (`autonomy.policy_file`)."""
        return self.root / "policies"

    @property
    def lock_file(self) -> Path:
        """Held by the one station that writes here."""
        return self.root / "station.lock"

    def run_dir(self) -> Path:
        """Directory of the station's sockets: short (a socket path holds 107 bytes) and private."""
        base = os.environ.get("XDG_RUNTIME_DIR")
        name = "teleop-" + hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        if base and os.path.isdir(base) and os.access(base, os.W_OK) and len(base) < 60:
            return Path(base) / name
        user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
        return Path(tempfile.gettempdir()) / f"{name}-{user}"


def make_private(folder: Path) -> Path:
    """Create `folder` with access for this user alone.

    Raises:
        StorageError: It exists and belongs to somebody else, or cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
            raise StorageError(f"The run directory {folder} belongs to another user", next_step="Remove it")
        folder.chmod(0o700)
    except OSError as error:
        raise StorageError(f"The run directory {folder} cannot be made", why=error.strerror or "") from error
    return folder


def shared_memory_dir(run_dir: Path) -> Path:
    """Folder for rings: memory-backed where the system offers it."""
    memory = Path("/dev/shm")  # noqa: S108 - the documented place of POSIX shared memory
    if memory.is_dir() and os.access(memory, os.W_OK):
        return make_private(memory / run_dir.name)
    return make_private(run_dir / "rings")
