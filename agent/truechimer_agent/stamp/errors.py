"""What can be wrong with a packet.

::

    DecodeError
    ├── Malformed          no packet of this kind: length, contents or direction
    ├── Unauthenticated    it carries no authentication, though a key is configured
    └── Forged             its authentication is wrong, or does not cover all of it
"""

from __future__ import annotations

from truechimer.errors import DecodeError


class Malformed(DecodeError):  # noqa: N818 - reads as the statement it is
    """No packet of this kind."""


class Unauthenticated(DecodeError):  # noqa: N818 - reads as the statement it is
    """No authentication, though a key is configured."""


class Forged(DecodeError):  # noqa: N818 - reads as the statement it is
    """The authentication is wrong or does not cover all of the packet."""
