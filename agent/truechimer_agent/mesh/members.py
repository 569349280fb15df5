"""Who is in the mesh: from the configuration, or from a file that is read again when it changes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.config.addresses import peer_address
from truechimer.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STAMP_PORT = 862
NODE_ID_BYTES = 8
LARGEST_FILE = 4 << 20
_COMMENT = re.compile(r"(^|\s)#.*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Member:
    """A node and where its reflector listens."""

    name: str
    host: str
    port: int


def node_id(cluster: str, node: str) -> bytes:
    """The 8 bytes that stand for a node in packets."""
    return hashlib.blake2b(f"{cluster}\0{node}".encode(), digest_size=NODE_ID_BYTES).digest()


def parse_member(text: str) -> Member:
    """``NAME@HOST[:PORT]``. Raises ConfigError."""
    name, at, address = text.partition("@")
    if not at or not name.strip() or _CONTROL.search(name):
        raise ConfigError(f"{text!r} is no NAME@HOST[:PORT]")
    return Member(name.strip(), *peer_address(address.strip(), STAMP_PORT))


def parse_members(lines: Iterable[str]) -> tuple[Member, ...]:
    """One member a line; ``#`` begins a comment. Raises ConfigError that names the line."""
    members: dict[str, Member] = {}
    listed_at: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        text = _COMMENT.sub("", line).strip()
        if not text:
            continue
        try:
            member = parse_member(text)
        except ConfigError as error:
            raise ConfigError(f"line {number}: {error}") from error
        if member.name in members:
            raise ConfigError(f"line {number}: {member.name} is on line {listed_at[member.name]} already")
        members[member.name] = member
        listed_at[member.name] = number
    return tuple(members.values())


def without(own: str, members: Iterable[Member]) -> tuple[Member, ...]:
    """All but this node itself, which may be listed so that one file serves everywhere."""
    return tuple(member for member in members if member.name != own)


class MembersFile:
    """The members that a file lists: as it was when it last was whole and right.

    ``members`` None: it has never been. ``complaint``: what is wrong with it now. A change counts when the
    file was the same at two looks in a row (``unsettled`` in between), so that one that is just being
    written is not taken for a shorter list.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken: object = None
        self._seen: object = None
        self.members: tuple[Member, ...] | None = None
        self.complaint: str | None = None
        self.unsettled = False

    def look(self) -> bool:
        """Look whether it changed, and take it when it did. Whether ``members`` are other ones now."""
        try:
            state = self._state()
            first = self._taken is None
            changed, self._seen = state != self._seen, state
            self.unsettled = changed and not first
            if self.unsettled or state == self._taken:
                return False
            found = self._read()
            if self._state() != state:
                self.unsettled = True
                return False
        except OSError as error:
            self._taken = self._seen = None
            self.unsettled = False
            self.complaint = f"cannot read the mesh's peers in {self._path}: {error.strerror}{self._kept()}"
            return False
        except ConfigError as error:
            self._taken = state
            self.complaint = f"{self._path}: {error}{self._kept()}"
            return False
        self._taken = state
        self.complaint = None
        before, self.members = self.members, found
        return found != before

    def _state(self) -> object:
        """What changes when the file does."""
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> tuple[Member, ...]:
        with self._path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise ConfigError(f"it is larger than {LARGEST_FILE} bytes")
        try:
            members = parse_members(raw.decode().split("\n"))
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise ConfigError(f"line {line}: it is not UTF-8 text") from error
        if not members:
            raise ConfigError("it lists nobody, not even this node")
        return members

    def _kept(self) -> str:
        return "" if self.members is None else "; the members read before stay"
