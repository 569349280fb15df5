"""The socket's place in the file system: taken over from the dead, never from the living."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_agent.collecting import Lacking

if TYPE_CHECKING:
    from pathlib import Path

BACKLOG = 64
MODE = 0o666
_HINT = "give the agent a runtime_dir of its own that it may write, its path below 90 characters"


@dataclass(frozen=True, slots=True)
class Place:
    """A listening socket, and which file is its."""

    path: Path
    socket: socket.socket
    identity: tuple[int, int]

    def is_there(self) -> bool:
        """Whether who connects to the path comes here."""
        return _identity(self.path) == self.identity

    def leave(self) -> None:
        """Listen no more; what others put at the path stays."""
        if self.is_there():
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.socket.close()


def listen(path: Path) -> Place:
    """A listening stream socket at ``path`` for every user, put in place by rename.

    Raises Lacking when somebody listens there, when what is there is no socket, or the folder refuses.
    """
    if os.path.lexists(path) and (not path.is_socket() or _is_alive(path)):
        what = "another agent listens there" if path.is_socket() else "it is there and is no socket"
        raise Lacking(f"cannot listen at {path}: {what}", hint=_HINT)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        sock.bind(str(fresh))
        fresh.chmod(MODE)
        sock.listen(BACKLOG)
        identity = _identity(fresh)
        fresh.replace(path)
    except OSError as error:
        sock.close()
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise Lacking(f"cannot listen at {path}: {error.strerror or error}", hint=_HINT) from error
    if identity is None:
        sock.close()
        raise Lacking(f"cannot listen at {path}: somebody removes what is made there", hint=_HINT)
    return Place(path, sock, identity)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
