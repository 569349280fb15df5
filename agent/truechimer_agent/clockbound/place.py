"""The path of a ClockBound segment: taken only when nobody else writes there, given up when somebody does.

ClockBound's daemon takes no lock, so a live one is told by its generation moving on: it writes once a
second, whatever state it is in. (Its as_of tells nothing: it stands still while chronyd is not
synchronized.) Between truechimer agents a lock on the file decides.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from truechimer_agent.clockbound.layout import (
    BODY_AT,
    GENERATION,
    GENERATION_AT,
    when_written,
    while_writing,
)
from truechimer_agent.clockbound.terms import VALID_NS
from truechimer_agent.collecting import CollectFailure

if TYPE_CHECKING:
    from truechimer_agent.clockbound.layout import ErrorBound, Layout

FIRST_LOOK_S = 3.0
"""Three of the daemon's rounds: whose segment does not change for so long is left behind by a dead one."""
SEEN_LIVE_S = 10.0
"""After a live one was seen: long enough for it to be restarted."""
_MOST_READ = 4096
PROC = Path("/proc")


class Occupied(CollectFailure):
    """Somebody else writes there; it is tried again every round."""


@dataclass(frozen=True, slots=True)
class _Held:
    """Our file: its descriptor (which carries the lock), and every byte that it must have."""

    file: int
    identity: tuple[int, int]
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Watched:
    """What somebody else's file looked like, and since when it has not changed."""

    identity: tuple[int, int]
    raw: bytes
    since_s: float


class Place:
    """One path and what is written there."""

    def __init__(self, path: Path, layout: Layout, *, proc: Path = PROC) -> None:
        self._path = path
        self._layout = layout
        self._proc = proc
        self._held: _Held | None = None
        self._watched: _Watched | None = None
        self._rival: str | None = None

    def put(self, bound: ErrorBound, now_s: float) -> bool:
        """Publish; False while it is still being watched whether a daemon writes there.

        ``now_s`` is CLOCK_MONOTONIC. Raises Occupied when one does, CollectFailure when the folder refuses.
        """
        try:
            return self._put(bound, now_s)
        except OSError as error:
            self.close()
            raise CollectFailure(
                f"publishing at {self._path}: {error.strerror}",
                hint="let the agent write that folder: docs/clockbound.md says how",
            ) from error

    def close(self) -> None:
        """Let go of the path; what it says is void 5 s after it was written."""
        if self._held is not None:
            os.close(self._held.file)
            self._held = None

    def _put(self, bound: ErrorBound, now_s: float) -> bool:
        if self._held is not None and not self._is_ours(self._held):
            self.close()
        body = self._layout.encode(bound)
        if self._held is None:
            self._held = self._take(body, now_s)
            if self._held is None:
                return False
        self._held = self._written(self._held, body)
        return True

    def _written(self, held: _Held, body: bytes) -> _Held:
        """Each of the three calls takes and gives back the file's lock: the stores are seen in this order."""
        (generation,) = GENERATION.unpack_from(held.raw, GENERATION_AT)
        odd = while_writing(generation)
        even = when_written(odd)
        os.pwrite(held.file, GENERATION.pack(odd), GENERATION_AT)
        os.pwrite(held.file, body, BODY_AT)
        os.pwrite(held.file, GENERATION.pack(even), GENERATION_AT)
        return _Held(held.file, held.identity, self._layout.header(even) + body)

    def _is_ours(self, held: _Held) -> bool:
        """Whether the path leads to our file and every byte is as we left it."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False  # removed, not taken: it is made anew
        if (found.st_dev, found.st_ino) == held.identity and _read(held.file) == held.raw:
            return True
        self._rival = "somebody else writes it"
        return False

    def _take(self, body: bytes, now_s: float) -> _Held | None:
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return self._create(body)
        try:
            held = self._take_over(file, now_s)
        except BaseException:
            os.close(file)
            raise
        if held is not None and not held.raw:
            os.close(file)
            return self._create(body)
        if held is None:
            os.close(file)
        return held

    def _take_over(self, file: int, now_s: float) -> _Held | None:
        """The file as ours; without bytes when it is to be replaced, None while it is being watched."""
        status = os.fstat(file)
        identity = status.st_dev, status.st_ino
        _lock(file, self._path)
        raw = _read(file)
        generation = self._layout.generation_of(raw)
        is_agents = generation is not None and self._is_left_by_agent(raw)
        if not is_agents and not self._is_left(_Watched(identity, raw, now_s)):
            if self._rival is not None:
                raise Occupied(
                    f"{self._path} is not ours: {self._rival}",
                    hint="stop the other daemon, or name another path under [clockbound]",
                )
            return None
        self._watched = self._rival = None
        return _Held(file, identity, b"" if generation is None else raw)

    def _is_left(self, seen: _Watched) -> bool:
        """Whether it has not changed for long enough, and no process that we can see may change it."""
        before = self._watched
        if before is None or (before.identity, before.raw) != (seen.identity, seen.raw):
            self._watched = seen
            if before is not None:
                self._rival = "somebody else writes it"
            return False
        if seen.since_s - before.since_s < (FIRST_LOOK_S if self._rival is None else SEEN_LIVE_S):
            return False
        if pid := writer_of(seen.identity, self._proc):
            self._watched = seen
            self._rival = f"process {pid} maps it for writing"
            return False
        return True

    def _is_left_by_agent(self, raw: bytes) -> bool:
        """An agent's own mark: its bounds are void after 5 s to the nanosecond, ClockBound's after 1000 s."""
        try:
            bound = self._layout.decode(raw)
        except ValueError:
            return False
        is_marked = bound.void_after_ns - bound.as_of_ns == VALID_NS
        return is_marked and self._rival is None

    def _create(self, body: bytes) -> _Held:
        """A whole file, put in place by rename: nobody maps a half-made one, or loses one that he maps."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file, name = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            raw = self._layout.header(2) + body
            os.fchmod(file, 0o644)
            os.pwrite(file, raw, 0)
            _lock(file, self._path)
            Path(name).replace(self._path)
            status = os.fstat(file)
        except BaseException:
            os.close(file)
            Path(name).unlink(missing_ok=True)
            raise
        self._watched = self._rival = None
        return _Held(file, (status.st_dev, status.st_ino), raw)


def writer_of(identity: tuple[int, int], proc: Path = PROC) -> int | None:
    """A process (not this one) that maps the file for writing, as far as /proc may be read; else None."""
    device, inode = identity
    mark = f" {os.major(device):02x}:{os.minor(device):02x} {inode} "
    for folder in proc.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            for line in (folder / "maps").read_text(errors="replace").splitlines():
                if mark in line and line.split(" ", 2)[1].startswith("rw-s"):
                    return int(folder.name)
    return None


def _read(file: int) -> bytes:
    return os.pread(file, _MOST_READ, 0)


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Occupied(
            f"{path} is not ours: another agent writes it",
            hint="stop it, or name another path under [clockbound]",
        ) from error
