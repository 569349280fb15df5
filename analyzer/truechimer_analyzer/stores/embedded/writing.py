"""Group commit: one thread collects the batches that wait and commits them in one transaction."""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import duckdb

from truechimer.errors import TruechimerError
from truechimer.readings import monotonic_s
from truechimer.samples import MEASUREMENTS
from truechimer_analyzer.stores import Batch, Commit, StoreBusy, StoreFailed, Written
from truechimer_analyzer.stores.embedded.database import first_line
from truechimer_analyzer.stores.embedded.rows import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from truechimer_analyzer.stores.embedded.arrival import ArrivalClock
    from truechimer_analyzer.stores.embedded.database import Database
    from truechimer_analyzer.stores.embedded.seen import SeenNodes

log = logging.getLogger(__name__)

GROUP_ROWS = 200_000
# About 1 kB each, and committed when the store closes.
WAITING_ROWS = 400_000
WAITING_BATCHES = 4096
# Longer than an agent's spool may hold a batch that was stored but whose answer was lost.
HASHES_KEPT_NS = 8 * 86_400 * 1_000_000_000


@dataclass(slots=True)
class _Wanted:
    batch: Batch
    future: Future[Written] = field(default_factory=Future)


@dataclass(slots=True)
class _Delete:
    older_than_ns: int
    future: Future[int] = field(default_factory=Future)


class Writer:
    """The only one who changes the database. Errors reach the future of the batch that met them."""

    def __init__(self, database: Database, clock: ArrivalClock, seen: SeenNodes) -> None:
        self._database = database
        self._clock = clock
        self._seen = seen
        self._queue: queue.SimpleQueue[_Wanted | _Delete | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_rows = 0
        self._waiting_batches = 0
        self._closing = False
        self._ended = False
        self._lost_database = False
        self.listeners: list[Callable[[Commit], None]] = []
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether batches can still be committed."""
        return not self._ended and not self._closing

    def submit(self, batch: Batch) -> Future[Written]:
        """Queue a batch; StoreBusy when too much waits already."""
        wanted = _Wanted(batch)
        with self._lock:
            self._check_open()
            # A batch alone is taken whatever its size, so that none waits for ever.
            rows = self._waiting_rows + len(batch.samples)
            if self._waiting_batches >= WAITING_BATCHES or (self._waiting_batches and rows > WAITING_ROWS):
                raise StoreBusy(f"{self._waiting_batches} batches wait to be committed")
            self._waiting_rows = rows
            self._waiting_batches += 1
            # From here on nobody can cancel it: it will be stored, or will fail.
            wanted.future.set_running_or_notify_cancel()
            self._queue.put(wanted)
        return wanted.future

    def delete(self, older_than_ns: int) -> Future[int]:
        """Queue the deletion of what was received before ``older_than_ns``."""
        wanted = _Delete(older_than_ns)
        with self._lock:
            self._check_open()
            self._queue.put(wanted)
        return wanted.future

    def close(self) -> None:
        """Commit what waits and end."""
        with self._lock:
            if not self._closing:
                self._closing = True
                self._queue.put(None)
        self._thread.join()

    def _check_open(self) -> None:
        if self._closing:
            raise StoreFailed("the store is closing")
        if self._ended:
            raise StoreFailed("the store's writer has ended", hint="start the analyzer again")

    def _run(self) -> None:
        try:
            self._work()
        finally:
            # Whoever still waits hears it; under the lock, so that nobody joins them afterwards.
            with self._lock:
                self._ended = True
                self._refuse_waiting()

    def _refuse_waiting(self) -> None:
        while True:
            try:
                wanted = self._queue.get_nowait()
            except queue.Empty:
                return
            if wanted is not None:
                wanted.future.set_exception(StoreFailed("the store's writer has ended"))

    def _work(self) -> None:
        while True:
            first = self._queue.get()
            if first is None:
                return
            if isinstance(first, _Delete):
                self._delete(first)
                continue
            group, following = self._collect(first)
            try:
                self._commit(group)
            except BaseException:
                _refuse(group, StoreFailed("the store's writer met an error of its own"))
                raise
            if isinstance(following, _Delete):
                self._delete(following)
            elif following is not None:
                return

    def _collect(self, first: _Wanted) -> tuple[list[_Wanted], _Delete | Sequence[None] | None]:
        """What waits, up to ``GROUP_ROWS``; and what else came: a deletion, ``()`` for the end."""
        group, rows = [first], len(first.batch.samples)
        while rows < GROUP_ROWS:
            try:
                wanted = self._queue.get_nowait()
            except queue.Empty:
                return group, None
            if wanted is None:
                return group, ()
            if isinstance(wanted, _Delete):
                return group, wanted
            group.append(wanted)
            rows += len(wanted.batch.samples)
        return group, None

    def _commit(self, group: list[_Wanted]) -> None:
        begun_s = monotonic_s()
        received_ns = self._clock.next_ns()
        with self._lock:
            self._waiting_batches -= len(group)
            self._waiting_rows -= sum(len(wanted.batch.samples) for wanted in group)
        try:
            answers = self._store(group, received_ns)
        except StoreFailed as error:
            log.error(  # noqa: TRY400 - the message says it all
                "batches not stored batches=%d error=%s", len(group), error
            )
            _refuse(group, error)
            return
        zones = _zones(
            wanted.batch for wanted, answer in zip(group, answers, strict=True) if not answer.duplicate
        )
        self._seen.add(zones, received_ns)
        commit = Commit(
            received_ns=received_ns,
            batches=len(group),
            duplicates=sum(answer.duplicate for answer in answers),
            rows=sum(answer.rows for answer in answers),
            nodes=frozenset(zones),
            duration_s=monotonic_s() - begun_s,
        )
        for wanted, answer in zip(group, answers, strict=True):
            wanted.future.set_result(answer)
        for listener in self.listeners:
            try:
                listener(commit)
            except Exception:
                # The samples are stored: a listener's failure is its own.
                log.exception("a listener to commits failed")

    def _store(self, group: list[_Wanted], received_ns: int) -> list[Written]:
        """One transaction: the rows of unknown batches and their hashes; StoreFailed: nothing is kept."""
        try:
            self._recover()
            connection = self._database.connection
            connection.begin()
            known = _known(connection, [wanted.batch.identity for wanted in group])
            fresh: list[Batch] = []
            answers: list[Written] = []
            for batch in (wanted.batch for wanted in group):
                duplicate = batch.identity in known
                answers.append(Written(0, duplicate, received_ns))
                if not duplicate:
                    known.add(batch.identity)
                    fresh.append(batch)
            counts = iter(insert(connection, fresh, received_ns))
            answers = [a if a.duplicate else Written(next(counts), False, received_ns) for a in answers]
            connection.commit()
        except (duckdb.Error, TruechimerError) as error:
            self._abandon(error)
            raise StoreFailed(f"cannot commit: {first_line(error)}") from error
        except Exception as error:
            # Whatever it was, the writer must live on and the sender must hear that nothing was stored.
            log.exception("the writer met an error of its own")
            self._abandon(error)
            raise StoreFailed(f"cannot commit: {type(error).__name__}") from error
        return answers

    def _delete(self, wanted: _Delete) -> None:
        rows = 0
        hashes_before_ns = min(wanted.older_than_ns, self._clock.now_ns() - HASHES_KEPT_NS)
        try:
            self._recover()
            connection = self._database.connection
            connection.begin()
            for name in MEASUREMENTS:
                deleted = connection.execute(
                    f'DELETE FROM "{name}" WHERE received_ns < ?',  # noqa: S608 - declared names only
                    [wanted.older_than_ns],
                ).fetchone()
                rows += deleted[0] if deleted else 0
            connection.execute("DELETE FROM batches WHERE received_ns < ?", [hashes_before_ns])
            connection.commit()
            self._seen.load(connection)
        except Exception as error:
            # As above: the writer lives on, and who asked hears why.
            if not isinstance(error, duckdb.Error | TruechimerError):
                log.exception("the writer met an error of its own")
            self._abandon(error)
            wanted.future.set_exception(StoreFailed(f"cannot delete: {first_line(error)}"))
            return
        wanted.future.set_result(rows)

    def _abandon(self, error: Exception) -> None:
        """Leave a failed transaction behind; note when the engine itself has given the database up."""
        if self._lost_database:
            return
        if isinstance(error, duckdb.FatalException | duckdb.InternalException):
            self._lost_database = True
            return
        try:
            self._database.connection.rollback()
        except duckdb.TransactionException:
            pass  # it had not begun, or was ended by its own failure
        except duckdb.Error:
            self._lost_database = True

    def _recover(self) -> None:
        if self._lost_database:
            self._database.reconnect()
            self._lost_database = False
            log.warning("database opened again after the engine had given it up")


def _refuse(group: Iterable[_Wanted], error: StoreFailed) -> None:
    for wanted in group:
        if not wanted.future.done():
            wanted.future.set_exception(error)


def _zones(batches: Iterable[Batch]) -> dict[tuple[str, str], str]:
    """Each (cluster, node) of some batches with the last zone that it gave."""
    zones: dict[tuple[str, str], str] = {}
    for batch in batches:
        for sample in batch.samples:
            tags = sample.tags
            key = tags["cluster"], tags["node"]
            zones[key] = tags.get("zone") or zones.get(key, "")
    return zones


def _known(connection: duckdb.DuckDBPyConnection, identities: Sequence[bytes]) -> set[bytes]:
    """Which of these hashes are in the database."""
    prefixes = [prefix_of(identity) for identity in identities]
    rows = connection.execute(
        "SELECT sha256 FROM batches WHERE prefix IN (SELECT unnest(?::UBIGINT[]))", [prefixes]
    ).fetchall()
    return {bytes(row[0]) for row in rows}


def prefix_of(identity: bytes) -> int:
    """The hash's first 8 bytes as a number."""
    return int.from_bytes(identity[:8], "big")
