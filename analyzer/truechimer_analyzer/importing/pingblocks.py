"""Blocks of nothing but replies, the bulk of every output of ping: all their figures at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from truechimer_analyzer.importing.found import EPOCH_NS, LONGEST_S, NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from truechimer_analyzer.importing.found import Block

WRAP = 1 << 16
_REST = (
    r"\d{1,6} bytes from [\w.:%-]{1,255}(?: \([\w.:%-]{1,255}\))?: icmp_seq=(\d{1,5}) ttl=\d{1,3} "
    r"time=(\d{1,9}(?:\.\d{1,9})?) ms\r?\n"
)
_TIMED = re.compile(r"^\[(\d{1,12}\.\d{1,9})\] " + _REST, re.ASCII | re.MULTILINE)
_UNTIMED = re.compile("^()" + _REST, re.ASCII | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Quick:
    """Replies of successive lines, all of them sound: (n,) each; ``sent_ns`` None where no times are told.

    ``parts`` are stamp, icmp_seq and time as they were written. ``breaks``, ascending: which of them is not
    the reply to the probe after that of the line before.
    """

    parts: list[tuple[str, str, str]]
    seq: NDArray[np.int64]
    rtt_s: NDArray[np.float64]
    sent_ns: NDArray[np.int64] | None
    breaks: NDArray[np.intp]

    def unbroken(self, begin: int) -> int:
        """How many from ``begin`` on follow each other."""
        after = int(np.searchsorted(self.breaks, begin, side="right"))
        end = int(self.breaks[after]) if after < len(self.breaks) else len(self.seq)
        return end - begin


def replies_of(block: Block) -> Quick | None:
    """The replies of a block; None where any of its lines is something else, or cannot be."""
    is_timed = block.text.startswith("[")
    parts = (_TIMED if is_timed else _UNTIMED).findall(block.text)
    if not parts or len(parts) != block.text.count("\n"):
        return None
    stamps, seqs, times = zip(*parts, strict=True)
    seq = np.array(seqs, dtype=np.int64)
    rtt_s = np.array(list(map(float, times))) / 1e3
    if seq.max() >= WRAP or rtt_s.max() > LONGEST_S:
        return None
    sent_ns = None
    if is_timed:
        sent = np.rint((np.array(list(map(float, stamps))) - rtt_s) * NS)
        if sent.min() < EPOCH_NS[0] or sent.max() > EPOCH_NS[1]:
            return None
        sent_ns = sent.astype(np.int64)
    breaks = np.flatnonzero(np.diff(seq, prepend=seq[0]) % WRAP != 1)
    return Quick(parts, seq, rtt_s, sent_ns, breaks)
