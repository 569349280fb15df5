"""Which peers a node probes: rendezvous hashing, with weights that leave nobody out. Pure.

Every node picks, for each of ``degree`` slots, the peer whose weight for it is highest; the weight is a hash
of slot and both names, so that all nodes that have the same list agree without talking. Independent weights
would leave some nodes of a large mesh without any observer. Here a slot hashes every name onto a ring, and
the nearest one ahead weighs most: each node has exactly one that picks it in each slot, and the first slot
alone joins all nodes (unions of random rings are expanders: Law and Siu, INFOCOM 2003). A node that joins or
leaves changes one pick a slot.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_PLACES = struct.Struct("!8Q")
_A_DIGEST = 8
"""Places on as many rings come of one digest of 64 bytes."""


class Choice:
    """The picks of every node of a list of names, distinct or not; ``degree`` is 1 or more."""

    def __init__(self, names: Iterable[str], degree: int) -> None:
        names = sorted(set(names))
        self._degree = min(degree, len(names) - 1)
        self._rings: list[list[str]] = []
        self._places: list[dict[str, int]] = []
        for block in range(-(-self._degree // _A_DIGEST)):
            places = {name: _places(name, block) for name in names}
            for number in range(min(_A_DIGEST, self._degree - block * _A_DIGEST)):
                ring = sorted(names, key=lambda name: (places[name][number], name))
                self._rings.append(ring)
                self._places.append({name: place for place, name in enumerate(ring)})

    def peers_of(self, own: str) -> tuple[str, ...]:
        """Whom ``own``, one of the names, picks: ``degree`` others, or all when there are not more."""
        picked: dict[str, None] = {own: None}
        for ring, places in zip(self._rings, self._places, strict=True):
            at = places[own]
            while ring[at] in picked:
                at = (at + 1) % len(ring)
            picked[ring[at]] = None
        return tuple(picked)[1:]


def choose(own: str, names: Iterable[str], degree: int) -> tuple[str, ...]:
    """Whom ``own`` probes of ``names``, which may hold it or not."""
    return Choice([own, *names], degree).peers_of(own)


def _places(name: str, block: int) -> tuple[int, ...]:
    key = b"truechimer mesh %d" % block
    places: tuple[int, ...] = _PLACES.unpack(hashlib.blake2b(name.encode(), key=key).digest())
    return places
