"""Which requests have been seen before: by their sequence numbers, and by their authenticators."""

from __future__ import annotations

WINDOW_BITS = 1024
_MASK = (1 << WINDOW_BITS) - 1
_ERA = 1 << 64
GENERATION = 16_384


class Window:
    """The sequence numbers of one run of probes: the highest and which of the 1,024 up to it were seen.

    What lies below the window counts as seen. A sender that begins anew is told by its timestamps, which
    are later than all that came before; a replayed packet's are not. ``before`` is the window of the run
    before, whose packets are not new either.
    """

    __slots__ = ("_bits", "_floor", "_highest", "_newest")

    def __init__(self, before: Window | None = None) -> None:
        self._highest = -1
        self._bits = 0
        self._newest: int | None = None
        self._floor = None if before is None else before._newest

    def is_new(self, sequence: int, timestamp: int) -> bool:
        """Whether a request with this number, sent at this NTP timestamp, has not been seen."""
        if self._floor is not None and not _is_later(timestamp, self._floor):
            return False
        age = self._highest - sequence
        return age < 0 or (age < WINDOW_BITS and not self._bits >> age & 1)

    def is_later(self, timestamp: int) -> bool:
        """Whether this NTP timestamp is later than all seen."""
        return self._newest is None or _is_later(timestamp, self._newest)

    def add(self, sequence: int, timestamp: int) -> None:
        """It has been seen now."""
        ahead = sequence - self._highest
        if ahead >= WINDOW_BITS:
            self._bits = 1
        elif ahead > 0:
            self._bits = (self._bits << ahead | 1) & _MASK
        else:
            self._bits |= 1 << -ahead
        if ahead > 0:
            self._highest = sequence
        if self.is_later(timestamp):
            self._newest = timestamp


def _is_later(timestamp: int, than: int) -> bool:
    """By up to 68 years: the era is not known."""
    return 0 < (timestamp - than) % _ERA < _ERA // 2


class Memory:
    """The authenticators of the latest 16,384 to 32,768 requests, whatever became of their sessions."""

    __slots__ = ("_generation", "_new", "_old")

    def __init__(self, generation: int = GENERATION) -> None:
        self._generation = generation
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, authenticator: bytes) -> bool:
        return authenticator in self._new or authenticator in self._old

    def add(self, authenticator: bytes) -> None:
        """It has been seen now."""
        if len(self._new) >= self._generation:
            self._old, self._new = self._new, set()
        self._new.add(authenticator)
