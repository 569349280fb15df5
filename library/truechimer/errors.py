"""The error tree: whose fault it is decides what is done about it.

::

    TruechimerError
    ├── NothingThere      nobody answers: agent, store or file is absent (exit 3)
    ├── PeerError         the other side is wrong: bad packet, refused batch
    │   └── DecodeError   bytes that are not what they should be
    ├── UserError         usage or configuration is wrong (exit 2)
    │   └── ConfigError   a key, value or file of the configuration
    └── NotEnough         too little evidence to answer (exit 4)
"""

from __future__ import annotations


class TruechimerError(Exception):
    """Base of all errors that are answered with a message instead of a traceback.

    ``hint`` says what the reader can do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class NothingThere(TruechimerError):  # noqa: N818 - reads as the statement it is
    """The agent, store or file that was asked is not there."""

    exit_code = 3


class PeerError(TruechimerError):
    """The other side of a conversation broke its protocol."""


class DecodeError(PeerError):
    """Bytes that cannot be what they claim to be."""


class UserError(TruechimerError):
    """Wrong usage."""

    exit_code = 2


class ConfigError(UserError):
    """A wrong key, value or file in the configuration."""


class NotEnough(TruechimerError):  # noqa: N818 - reads as the statement it is
    """Too little evidence to answer; the message says what is missing."""

    exit_code = 4
