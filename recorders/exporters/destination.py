"""The folder an export ends in: refused, replaced or added to, and always in one step.

Work happens in a sibling folder `.<name>.partial`, which a rerun finds again. When everything in it is
proved, it takes the place of the destination by renaming, so that a reader sees the old dataset or the new
one and never a mixture.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from av.error import FFmpegError

from recorders.exporters.lerobot_layout import CODEBASE_VERSION, INFO, MEBIBYTE
from teleop_app.core.errors import ExportError

try:
    import fcntl
except ImportError:  # Windows: no advisory locks, two exports to one folder are not noticed
    fcntl = None


class Destination:
    """Where a dataset goes.

    Args:
        path: The dataset's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.partial = self.path.parent / f".{self.path.name}.partial"
        self.staging = self.partial / "episodes"
        self.dataset = self.partial / "dataset"
        self.plan = self.partial / "plan"
        self._old = self.path.parent / f".{self.path.name}.old"

    def require_dataset_or_nothing(self) -> None:
        """Refuse a place that holds something else, before anything is made beside it.

        Raises:
            ExportError: The path is a file, or a folder with other content.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ExportError(f"{self.path} is a file", next_step="Choose a folder that does not exist yet")
        if self.path.exists() and any(self.path.iterdir()) and not is_dataset(self.path):
            raise ExportError(
                f"{self.path} holds something that is not a LeRobot {CODEBASE_VERSION} dataset",
                why="nothing is ever deleted there",
                next_step="Choose an empty or new folder",
            )

    def admit(self, *, overwrite: bool, append: bool) -> bool:
        """Decide whether the folder may be written; put right what a crash while renaming left.

        Call it while `held`.

        Args:
            overwrite: Replacing a dataset is allowed.
            append: Adding to a dataset is allowed.

        Returns:
            Whether a dataset is there that is to be added to.

        Raises:
            ExportError: A dataset is there and neither is allowed.
        """
        if self._old.exists():
            if self.path.exists():
                shutil.rmtree(self._old)
            else:
                self._old.rename(self.path)
        if not is_dataset(self.path):
            return False
        if self.plan.exists() and not self.dataset.exists():
            self._clear()  # its dataset was moved into place and the process ended before tidying up
        if not (overwrite or append):
            raise ExportError(
                f"{self.path} holds a dataset already",
                next_step="Choose another folder, replace it with --overwrite, or add to it with --append",
            )
        return append

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the partial folder and keep other exports out of it.

        Raises:
            ExportError: Another export is at work there.
            OSError: It cannot be made.
        """
        self.staging.mkdir(parents=True, exist_ok=True)
        with (self.partial / "lock").open("w") as lock:
            if fcntl is not None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise ExportError(
                        f"Another export to {self.path} is at work", next_step="Wait for it, or stop it"
                    ) from error
            try:
                yield
            finally:
                if self.staging.exists() and not self.dataset.exists() and not any(self.staging.iterdir()):
                    self._clear()

    def _clear(self) -> None:
        """Remove what was prepared."""
        shutil.rmtree(self.partial, ignore_errors=True)

    def require_space(self, needed: int) -> None:
        """Refuse to begin what cannot end.

        Args:
            needed: [bytes].

        Raises:
            ExportError: The disk has less.
        """
        free = shutil.disk_usage(self.partial).free
        if free < needed:
            raise ExportError(
                f"The dataset needs {needed / MEBIBYTE:.0f} MiB and {self.path.parent} has "
                f"{free / MEBIBYTE:.0f} MiB free",
                next_step="Free space or choose another disk, and export again; what is prepared is kept",
            )

    def publish(self) -> None:
        """Put the finished dataset in its place and remove the partial folder.

        Raises:
            OSError: A rename fails.
        """
        _sync_folders(self.dataset)
        if self.path.exists():
            if any(self.path.iterdir()):
                self.path.rename(self._old)
            else:
                self.path.rmdir()
        self.dataset.rename(self.path)
        _sync(self.path.parent)
        shutil.rmtree(self._old, ignore_errors=True)
        self._clear()


def is_dataset(path: Path) -> bool:
    """Whether a folder holds a LeRobot dataset of the version written here."""
    try:
        info = json.loads((path / INFO).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(info, dict) and info.get("codebase_version") == CODEBASE_VERSION


@contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Turn failures of the disk into sentences.

    Raises:
        ExportError: In place of any OSError or FFmpegError.
    """
    try:
        yield
    except (OSError, FFmpegError) as error:
        number = error.errno
        kept = "What is prepared is kept and a rerun goes on from there"
        if number in (errno.ENOSPC, errno.EDQUOT):
            raise ExportError(
                f"The disk of {path} is full", next_step=f"Free space and export again. {kept}"
            ) from error
        if number in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise ExportError(
                f"{path} cannot be written",
                why=error.strerror or str(error),
                next_step="Fix its permissions or choose another folder",
            ) from error
        raise ExportError(
            f"Writing {path} failed", why=error.strerror or str(error), next_step=f"Export again. {kept}"
        ) from error


def _sync(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        _sync(Path(folder))
