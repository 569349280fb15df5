"""What the spool holds and says: batches, what became of an append, what was dropped, how it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """Newline-terminated line protocol, byte for byte as it was first handed over.

    ``boot_ns`` is CLOCK_BOOTTIME at the append, in the boot named ``boot_id``.
    """

    batch_id: int
    lines: bytes
    samples: int
    boot_id: str
    boot_ns: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """Samples given up for want of room; the span is that of their own timestamps (Unix ns)."""

    batches: int = 0
    samples: int = 0
    first_ns: int | None = None
    last_ns: int | None = None

    def __add__(self, other: Dropped) -> Dropped:
        """Both together."""
        firsts = [at for at in (self.first_ns, other.first_ns) if at is not None]
        lasts = [at for at in (self.last_ns, other.last_ns) if at is not None]
        return Dropped(
            self.batches + other.batches,
            self.samples + other.samples,
            min(firsts, default=None),
            max(lasts, default=None),
        )


NOTHING_DROPPED = Dropped()


def dropped(lines: bytes, samples: int) -> Dropped:
    """One batch given up: its span is read from the timestamps that end its first and last line."""
    stamps = [
        _stamp(line) for line in (lines[: lines.find(b"\n") + 1], lines[lines.rstrip().rfind(b"\n") + 1 :])
    ]
    known = [at for at in stamps if at is not None]
    return Dropped(1, samples, min(known, default=None), max(known, default=None))


def _stamp(line: bytes) -> int | None:
    try:
        return int(line.rsplit(b" ", 1)[-1])
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of an append.

    ``durable``: it is on the disk and synced. Otherwise it is held in memory, and ``trouble`` says why.
    ``given_up``: what had to make room, here or earlier in this call.
    """

    durable: bool
    trouble: str | None
    given_up: Dropped


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """How the spool stands.

    ``bytes`` counts the lines waiting (on disk and in memory); ``oldest_age_s`` is None when nothing waits
    or when the oldest batch is of another boot, whose clock cannot be compared. Dropped counts outlive
    restarts.
    """

    bytes: int
    batches: int
    oldest_age_s: float | None
    dropped_samples_total: int
    dropped_span: tuple[int, int] | None
    durable: bool
    trouble: str | None
