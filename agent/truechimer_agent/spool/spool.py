"""Batches in one SQLite file, in order, until every configured sink has acknowledged them.

A batch gets its number when it is appended. When the disk takes nothing, batches wait in a bounded
memory and are still offered to the sinks, in order; they are written with the next append that succeeds.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING

from truechimer_agent.spool import database, rows
from truechimer_agent.spool.batches import NOTHING_DROPPED, Appended, Batch, Dropped, SpoolStats, dropped
from truechimer_agent.spool.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

MEMORY_BYTES = 8 << 20
CLOSE_S = 2.0
_AT_ONCE = 32
_LEAST_PAGES = 16


class Spool:
    """The durable outbox. Every method may be called from any thread; each may wait for the disk."""

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        *,
        sinks: Iterable[str],
        boot_id: str,
        boot_ns: Callable[[], int],
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._path = path
        self._max_pages = max(_LEAST_PAGES, max_bytes // rows.PAGE)
        self._memory_limit = memory_bytes
        self._boot_id = boot_id
        self._boot_ns = boot_ns
        self._lock = threading.RLock()
        self._closed = False
        self._db: sqlite3.Connection | None = None
        self._trouble: str | None = None
        self._cursors = dict.fromkeys(sinks, 0)
        self._cursors_known = False
        self._unsaved = True  # cursors or counts in memory are ahead of the file
        self._next_id = 1
        self._memory = Waiting()
        self._kept_bytes = 0
        self._kept_batches = 0
        self._given_up = NOTHING_DROPPED
        self._given_up_now = NOTHING_DROPPED  # during the present append

    @classmethod
    def open(
        cls,
        path: Path,
        max_bytes: int,
        *,
        sinks: Iterable[str],
        boot_id: str,
        boot_ns: Callable[[], int],
        memory_bytes: int = MEMORY_BYTES,
    ) -> Spool:
        """Open or create the file.

        ``max_bytes`` caps the file; ``sinks`` are the names of all configured sinks: others lose their
        cursor, new ones begin at the oldest batch kept. ``boot_ns`` reads CLOCK_BOOTTIME, in the boot
        ``boot_id``. A damaged file is set aside; a disk that takes nothing is tried again at each append.
        """
        spool = cls(path, max_bytes, sinks=sinks, boot_id=boot_id, boot_ns=boot_ns, memory_bytes=memory_bytes)
        with spool._lock, spool._tolerating():
            spool._connected()
        return spool

    @property
    def sinks(self) -> tuple[str, ...]:
        """The configured sinks' names."""
        return tuple(self._cursors)

    def append(self, lines: bytes, samples: int) -> Appended:
        """Keep one batch of ``samples`` lines; synced to the disk on return when ``durable``."""
        return self.append_all([(lines, samples)])

    def append_all(self, batches: Sequence[tuple[bytes, int]]) -> Appended:
        """Keep several batches, each as its own, in one commit. Without any: try again what waits."""
        with self._lock:
            self._given_up_now = NOTHING_DROPPED
            now_ns = self._boot_ns()
            for lines, samples in batches:
                self._memory.add(Batch(self._next_id, lines, samples, self._boot_id, now_ns))
                self._next_id += 1
            # A second round for the fresh file that follows a damaged one.
            for _ in range(2):
                with self._tolerating():
                    self._write_memory()
                    self._say(None)
                    break
                if self._trouble is not None:
                    break
            self._bound_memory()
            return Appended(self._durable(), self._trouble, self._given_up_now)

    def after(self, cursor: int, limit: int = 16) -> list[Batch]:
        """The oldest batches numbered above ``cursor``, at most ``limit``, oldest first."""
        with self._lock:
            found: list[Batch] | None = None
            with self._tolerating():
                # Batches in memory come after those on the disk, so none is offered unless it was read.
                found = rows.after(self._connected(), cursor, limit)
            if found is None:
                return []
            found.extend(islice(self._memory.after(cursor), limit - len(found)))
            return found

    def pending(self, sink: str, limit: int = 16) -> list[Batch]:
        """The oldest batches that ``sink`` has not acknowledged."""
        with self._lock:
            if not self._cursors_known:
                with self._tolerating():
                    self._connected()
            return self.after(self._cursors[sink], limit) if self._cursors_known else []

    def acknowledge(self, sink: str, batch_id: int) -> None:
        """``sink`` has every batch up to ``batch_id``; what all sinks have is deleted.

        Survives a kill of the process at once, a loss of power from the next append on.
        """
        with self._lock:
            if self._closed or batch_id <= self._cursors[sink]:
                return
            self._cursors[sink] = batch_id
            self._unsaved = True
            self._memory.take_up_to(self._floor())
            with self._tolerating():
                db = self._connected()
                db.execute("PRAGMA synchronous=NORMAL")
                try:
                    with self._transaction(db):
                        freed = self._save(db, NOTHING_DROPPED)
                    self._saved(freed)
                    database.give_back(db)
                finally:
                    db.execute("PRAGMA synchronous=FULL")

    def stats(self) -> SpoolStats:
        """How the spool stands now."""
        with self._lock:
            age_ns = self._oldest_age_ns()
            lost = self._given_up
            return SpoolStats(
                bytes=self._kept_bytes + self._memory.bytes,
                batches=self._kept_batches + len(self._memory),
                oldest_age_s=None if age_ns is None else age_ns / 1e9,
                dropped_samples_total=lost.samples,
                dropped_span=None
                if lost.first_ns is None or lost.last_ns is None
                else (lost.first_ns, lost.last_ns),
                durable=self._durable(),
                trouble=self._trouble,
            )

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """Write what waits in memory if the disk takes it, and close the file. Safe to call twice.

        False when the disk did not answer in time: it is left to itself then, and what it had not confirmed
        may be lost. The file stays sound: it is as if the process had been killed.
        """
        thread = threading.Thread(target=self._close, name="spool closes", daemon=True)
        thread.start()
        thread.join(timeout_s)
        if thread.is_alive():
            _log.error("spool not closed, the disk does not answer: path=%s", self._path)
            return False
        return True

    def _close(self) -> None:
        with self._lock:
            if self._closed:
                return
            with self._tolerating():
                self._write_memory()
            self._closed = True
            self._disconnect()

    # The file

    def _connected(self) -> sqlite3.Connection:
        if self._closed:
            raise sqlite3.OperationalError("the spool is closed")
        if self._db is None:
            db = database.connect(self._path)
            try:
                self._load(db)
            except sqlite3.Error:
                db.close()
                raise
            self._db = db
        return self._db

    def _disconnect(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _load(self, db: sqlite3.Connection) -> None:
        """Take over what the file holds; batches already in memory are numbered after it."""
        kept = rows.summary(db)
        self._kept_batches, self._kept_bytes = kept.batches, kept.bytes
        if not self._cursors_known:
            self._cursors = {sink: kept.cursors.get(sink, 0) for sink in self._cursors}
            self._cursors_known = True
            self._given_up += kept.dropped
        taken = max(kept.last_id, *kept.cursors.values(), *self._cursors.values(), 0)
        self._next_id = max(self._next_id, taken + 1)
        oldest = self._memory.oldest
        if oldest is not None and oldest.batch_id <= taken:
            self._next_id = self._memory.renumber(self._next_id)

    @contextmanager
    def _tolerating(self) -> Iterator[None]:
        """Turn the disk's failures into ``trouble``; set a damaged file aside for a new one."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if self._closed:
                return
            if isinstance(error, sqlite3.ProgrammingError):
                raise
            if isinstance(error, sqlite3.Error) and database.is_damage(error):
                self._begin_anew(error)
            else:
                self._say(str(error))

    def _begin_anew(self, why: sqlite3.Error) -> None:
        self._disconnect()
        try:
            aside = database.set_aside(self._path)
            _log.error(
                "spool damaged, kept aside, a new one begun: path=%s aside=%s why=%s", self._path, aside, why
            )
            self._cursors_known = True
            self._kept_batches = self._kept_bytes = 0
            self._unsaved = True
            self._connected()
        except (sqlite3.Error, OSError) as error:
            self._say(f"{why}; and no new spool can be begun: {error}")

    def _say(self, trouble: str | None) -> None:
        if trouble is not None and self._trouble is None:
            _log.error(
                "spool cannot be written, samples are held in memory: path=%s why=%s", self._path, trouble
            )
        elif trouble is None and self._trouble is not None:
            _log.warning("spool can be written again: path=%s", self._path)
        self._trouble = trouble

    # Writing

    @contextmanager
    def _transaction(self, db: sqlite3.Connection) -> Iterator[None]:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                with suppress(sqlite3.Error):
                    db.execute("ROLLBACK")
            raise

    def _write_memory(self) -> None:
        """Everything in memory to the disk: one commit, or several when much has gathered."""
        db = self._connected()
        if self._trouble is not None:
            # A disk that was full may have a little room now: begin with what the log holds.
            with suppress(sqlite3.Error):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if self._unsaved:
            with self._transaction(db):
                freed = self._save(db, NOTHING_DROPPED)
            self._saved(freed)
        while self._memory:
            self._write(db, self._memory.first(_AT_ONCE))

    def _write(self, db: sqlite3.Connection, batches: list[Batch]) -> None:
        """The first of those in memory, in one commit; the oldest make room for them."""
        lost = NOTHING_DROPPED
        evicted: list[Batch] = []
        with self._transaction(db):
            for batch in batches:
                evicted += rows.make_room(db, len(batch.lines), self._max_pages)
                if rows.fits(db, len(batch.lines), self._max_pages):
                    rows.insert(db, batch)
                else:
                    evicted.append(batch)
            for batch in evicted:
                lost += dropped(batch.lines, batch.samples)
            freed = self._save(db, lost)
        size = sum(len(batch.lines) for batch in batches)
        self._kept_batches += len(batches) - len(evicted)
        self._kept_bytes += size - sum(len(batch.lines) for batch in evicted)
        self._memory.take(len(batches))
        self._give_up(lost)
        self._saved(freed)

    def _bound_memory(self) -> None:
        for batch in self._memory.overflow(self._memory_limit):
            self._give_up(dropped(batch.lines, batch.samples))
            self._unsaved = True

    def _give_up(self, lost: Dropped) -> None:
        self._given_up += lost
        self._given_up_now += lost

    def _save(self, db: sqlite3.Connection, lost: Dropped) -> tuple[int, int]:
        """Cursors and counts into the transaction; delete what every sink has: (batches, bytes)."""
        if not self._unsaved and not lost.batches:
            return 0, 0
        return rows.save(db, self._cursors, self._floor(), self._given_up + lost)

    def _saved(self, freed: tuple[int, int]) -> None:
        self._unsaved = False
        self._kept_batches -= freed[0]
        self._kept_bytes -= freed[1]

    def _floor(self) -> int:
        return min(self._cursors.values(), default=0)

    def _durable(self) -> bool:
        return self._db is not None and not self._memory

    def _oldest_age_ns(self) -> int | None:
        oldest: tuple[str, int] | None = None
        if self._kept_batches:
            with self._tolerating():
                oldest = rows.oldest(self._connected())
        elif (first := self._memory.oldest) is not None:
            oldest = (first.boot_id, first.boot_ns)
        if oldest is None or oldest[0] != self._boot_id:
            return None
        return max(0, self._boot_ns() - oldest[1])
