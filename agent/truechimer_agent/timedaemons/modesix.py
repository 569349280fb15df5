"""NTP's control messages (mode 6, RFC 9327): bytes in, bytes out. ntpd and ntpsec answer them alike."""

from __future__ import annotations

import struct
from enum import IntEnum

from truechimer.errors import DecodeError

MOST_BYTES = 65_536
_HEADER = struct.Struct("!BBHHHHH")
_VERSION_2_MODE_6 = 2 << 3 | 6
_MODE = 0x07
_RESPONSE, _ERROR, _MORE, _OPERATION = 0x80, 0x40, 0x20, 0x1F
_REFUSALS = {1: "authentication is wanted", 3: "the operation is unknown", 7: "administratively prohibited"}


class Operation(IntEnum):
    """What is asked."""

    READ_STATUS = 1
    READ_VARIABLES = 2


def request(operation: Operation, sequence: int) -> bytes:
    """A request about the daemon itself (association 0)."""
    return _HEADER.pack(_VERSION_2_MODE_6, operation, sequence, 0, 0, 0, 0)


class Answer:
    """The answer to one request, put together from its fragments in whatever order they come."""

    def __init__(self, operation: Operation, sequence: int) -> None:
        self._operation = operation
        self._sequence = sequence
        self._fragments: dict[int, bytes] = {}
        self._length: int | None = None

    def take(self, datagram: bytes) -> bytes | None:
        """The whole answer once its last fragment is there, else None; strange packets are passed over.

        Raises DecodeError for a refusal and for fragments that do not fit together.
        """
        if len(datagram) < _HEADER.size:
            return None
        first, second, sequence, status, _, offset, count = _HEADER.unpack_from(datagram)
        if first & _MODE != _VERSION_2_MODE_6 & _MODE or not second & _RESPONSE:
            return None
        if sequence != self._sequence or second & _OPERATION != self._operation:
            return None
        if second & _ERROR:
            raise DecodeError(f"refused: {_REFUSALS.get(status >> 8, f'error {status >> 8}')}")
        data = datagram[_HEADER.size : _HEADER.size + count]
        if len(data) != count or offset + count > MOST_BYTES:
            raise DecodeError(f"a fragment of {count} bytes at {offset} that is not whole")
        self._fragments[offset] = data
        if not second & _MORE:
            self._length = offset + count
        return self._whole()

    def _whole(self) -> bytes | None:
        if self._length is None:
            return None
        together = b""
        for offset, data in sorted(self._fragments.items()):
            if offset > len(together):
                return None
            if offset < len(together):
                raise DecodeError("fragments that overlap")
            together += data
        return together if len(together) == self._length else None
