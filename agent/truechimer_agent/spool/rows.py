"""The spool's rows: each function is one question to, or one change of, an open database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer_agent.spool.batches import NOTHING_DROPPED, Batch, Dropped

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

PAGE = 4096
_SPARE_PAGES = 3  # what a row may need beyond its bytes: a leaf, an inner page, a pointer map
_SELECT = "SELECT id, lines, samples, boot_id, boot_ns FROM batch"


@dataclass(frozen=True, slots=True)
class Summary:
    """What a file holds when it is opened; ``last_id`` is the highest number ever used."""

    batches: int
    bytes: int
    last_id: int
    cursors: Mapping[str, int]
    dropped: Dropped


def summary(db: sqlite3.Connection) -> Summary:
    """Read everything but the lines."""
    batches, size, newest = db.execute(
        "SELECT count(*), coalesce(sum(length(lines)), 0), coalesce(max(id), 0) FROM batch"
    ).fetchone()
    used = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'batch'").fetchone()
    row = db.execute("SELECT batches, samples, first_ns, last_ns FROM dropped").fetchone()
    return Summary(
        batches,
        size,
        max(newest, used[0] if used else 0),
        {str(sink): int(at) for sink, at in db.execute("SELECT sink, batch_id FROM cursor")},
        Dropped(*row) if row else NOTHING_DROPPED,
    )


def after(db: sqlite3.Connection, cursor: int, limit: int) -> list[Batch]:
    """The oldest batches numbered above ``cursor``."""
    found = db.execute(f"{_SELECT} WHERE id > ? ORDER BY id LIMIT ?", (cursor, limit))
    return [Batch(*row) for row in found]


def oldest(db: sqlite3.Connection) -> tuple[str, int] | None:
    """Boot and CLOCK_BOOTTIME of the oldest batch."""
    found: tuple[str, int] | None = db.execute(
        "SELECT boot_id, boot_ns FROM batch ORDER BY id LIMIT 1"
    ).fetchone()
    return found


def insert(db: sqlite3.Connection, batch: Batch) -> None:
    """Keep one batch."""
    db.execute(
        "INSERT INTO batch (id, lines, samples, boot_id, boot_ns) VALUES (?, ?, ?, ?, ?)",
        (batch.batch_id, batch.lines, batch.samples, batch.boot_id, batch.boot_ns),
    )


def fits(db: sqlite3.Connection, size: int, max_pages: int) -> bool:
    """Whether ``size`` more bytes keep the file within ``max_pages``, in this transaction."""
    count: int = db.execute("PRAGMA page_count").fetchone()[0]
    free: int = db.execute("PRAGMA freelist_count").fetchone()[0]
    return count - free + size // PAGE + _SPARE_PAGES <= max_pages


def make_room(db: sqlite3.Connection, size: int, max_pages: int) -> list[Batch]:
    """Delete the oldest batches until ``size`` more bytes fit; what was deleted."""
    evicted = []
    while not fits(db, size, max_pages) and (found := after(db, -1, 1)):
        evicted += found
        db.execute("DELETE FROM batch WHERE id = ?", (found[0].batch_id,))
    return evicted


def save(db: sqlite3.Connection, cursors: Mapping[str, int], floor: int, dropped: Dropped) -> tuple[int, int]:
    """Keep cursors and counts; delete batches up to ``floor``: (batches, bytes) freed."""
    batches, size = db.execute(
        "SELECT count(*), coalesce(sum(length(lines)), 0) FROM batch WHERE id <= ?", (floor,)
    ).fetchone()
    db.execute("DELETE FROM batch WHERE id <= ?", (floor,))
    db.execute("DELETE FROM cursor")
    db.executemany("INSERT INTO cursor VALUES (?, ?)", cursors.items())
    db.execute(
        "INSERT OR REPLACE INTO dropped VALUES (1, ?, ?, ?, ?)",
        (dropped.batches, dropped.samples, dropped.first_ns, dropped.last_ns),
    )
    return batches, size
