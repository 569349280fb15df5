"""One agent per state directory."""

from __future__ import annotations

import errno
import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

LOCK_NAME = "agent.lock"


@dataclass(slots=True)
class StateLock:
    """Held until ``release`` or until the process ends, however it ends."""

    _fd: int

    def release(self) -> None:
        """Let another agent have the directory. Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def lock_state_dir(state_dir: Path) -> StateLock:
    """Make the directory if need be and take it for this process.

    Raises UserError when another process has it (naming its pid) or when it cannot be written.
    """
    path = state_dir / LOCK_NAME
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise UserError(
            f"cannot use the state directory {state_dir}: {error.strerror}",
            hint="set state_dir to a directory that this user may write and whose disk has room",
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise UserError(f"cannot lock {path}: {error.strerror}") from error
        raise UserError(
            f"another agent (pid {holder}) is using {state_dir}",
            hint="stop it, or give this one a state_dir of its own",
        ) from error
    _write_pid(fd)
    return StateLock(fd)


def _write_pid(fd: int) -> None:
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        # A full disk must not keep the agent from sampling: the lock itself holds without the number.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
