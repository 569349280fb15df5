"""The key that all nodes of a mesh share: HMAC-SHA-256 truncated to 128 bits (RFC 8762 section 4.4)."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING

from truechimer.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

DIGEST_BYTES = 16
LEAST_BYTES = 16
_LARGEST_FILE = 4096
_BLOCK_BYTES = 64
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_HINT = "make one with `(umask 077; openssl rand -hex 32 > FILE)` and copy it to every node"


class Key:
    """A secret of at least 16 bytes. Raises ConfigError when it is shorter.

    HMAC as RFC 2104 has it, with the two hashes of the padded key kept: hmac.digest() takes 2.4 times as
    long, most of it to look up its algorithm.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, secret: bytes) -> None:
        if len(secret) < LEAST_BYTES:
            raise ConfigError(
                f"a key of {len(secret)} bytes is too short: at least {LEAST_BYTES}", hint=_HINT
            )
        short = secret if len(secret) <= _BLOCK_BYTES else sha256(secret).digest()
        block = short.ljust(_BLOCK_BYTES, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def __repr__(self) -> str:
        return "Key(…)"

    def digest(self, text: bytes | bytearray | memoryview) -> bytes:
        """The 16 bytes that authenticate ``text``."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.digest()[:DIGEST_BYTES]

    def fits(self, text: bytes | bytearray | memoryview, digest: bytes | bytearray | memoryview) -> bool:
        """Whether ``digest`` authenticates ``text``; takes as long whatever is wrong with it."""
        return compare_digest(self.digest(text), digest)


def load_key(path: Path) -> Key:
    """The key in a file that others cannot read. Raises ConfigError.

    A file of nothing but hex digits and white space spells the key's bytes. Of any other all bytes are
    the key, but for one line end at the end.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(
            f"cannot read the key in {path}: {error.strerror}",
            hint="it must be readable by the agent's user, and by nobody else",
        ) from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigError(
            f"the key in {path} is open to every user of this host",
            hint=f"chmod o= {path}; whoever may have read it has it: make a new one",
        )
    if len(content) > _LARGEST_FILE:
        raise ConfigError(f"{path} holds more than {_LARGEST_FILE} bytes: that is no key", hint=_HINT)
    try:
        return Key(_secret(content))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", hint=error.hint) from None


def _secret(content: bytes) -> bytes:
    digits = b"".join(content.split())
    if not _HEX_DIGITS.issuperset(digits):
        return content.removesuffix(b"\n").removesuffix(b"\r")
    if len(digits) % 2:
        raise ConfigError(f"{len(digits)} hex digits are no whole number of bytes", hint=_HINT)
    return bytes.fromhex(digits.decode())
