"""A token kept in a file, read again when the file changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class TokenFile:
    """One token on one line; replaced tokens are used from the next request on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def read(self) -> str:
        """The token. Raises OSError when the file cannot be read, ValueError when it holds no token."""
        status = self.path.stat()
        identity = (status.st_mtime_ns, status.st_size, status.st_ino)
        if identity != self._seen:
            token = self.path.read_bytes().strip()
            if not token or not all(0x21 <= byte <= 0x7E for byte in token):
                raise ValueError(f"token_file {self.path} does not hold one token of printable characters")
            self._token = token.decode("ascii")
            self._seen = identity
        return self._token
