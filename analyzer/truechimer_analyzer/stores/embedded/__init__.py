"""The embedded store: one DuckDB file, owned by one process, one table per measurement."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb

from truechimer.readings import SystemClocks
from truechimer.samples import MEASUREMENTS
from truechimer_analyzer.stores import QUANTILES, StoreFailed, Tally
from truechimer_analyzer.stores.embedded import reading, series
from truechimer_analyzer.stores.embedded.arrival import NS, ArrivalClock
from truechimer_analyzer.stores.embedded.database import open_database, present_columns
from truechimer_analyzer.stores.embedded.seen import SeenNodes
from truechimer_analyzer.stores.embedded.tables import (
    known_fields,
    known_measurement,
    known_tags,
    quoted,
    tag_names,
)
from truechimer_analyzer.stores.embedded.writing import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from truechimer.readings import Clocks
    from truechimer_analyzer.stores import (
        Aggregate,
        Batch,
        Columns,
        Commit,
        Distribution,
        NodeSeen,
        Series,
        Written,
    )
    from truechimer_analyzer.stores.embedded.database import Database

log = logging.getLogger(__name__)

_LONGEST_END_S = 10.0

# ruff: noqa: S608 - names come from the declared measurements, values only as parameters


def open_embedded(directory: Path, *, read_only: bool = False, clocks: Clocks | None = None) -> EmbeddedStore:
    """Open or create the store in ``directory``; errors as :func:`truechimer_analyzer.stores.open_store`."""
    return EmbeddedStore(open_database(directory, read_only=read_only), clocks or SystemClocks())


class EmbeddedStore:
    """See :class:`truechimer_analyzer.stores.Store`."""

    def __init__(self, database: Database, clocks: Clocks) -> None:
        self._database = database
        self._cursors = threading.Condition()
        self._open: set[duckdb.DuckDBPyConnection] = set()
        self._closing = False
        with self._query() as cursor:
            self._present = present_columns(cursor)
            last_ns = self._last_arrival_ns(cursor)
            self._seen = SeenNodes(name for name in MEASUREMENTS if name in self._present)
            self._seen.load(cursor)
        self._clock = ArrivalClock(clocks, last_ns)
        if self._clock.set_back_ns:
            log.error(
                "the wall clock is behind the newest stored arrival: one of the two was wrong behind_s=%.0f",
                self._clock.set_back_ns / NS,
            )
        self._writer = None if database.read_only else Writer(database, self._clock, self._seen)

    @property
    def address(self) -> str:
        """``embedded:DIR``."""
        return f"embedded:{self._database.path.parent}"

    def now_ns(self) -> int:
        """The arrival clock: Unix ns, never stepping back."""
        return self._clock.now_ns()

    def write(self, batch: Batch) -> Written:
        """Store a batch; returns once it is durable."""
        return self.submit(batch).result()

    def submit(self, batch: Batch) -> Future[Written]:
        """Begin to store a batch; StoreBusy when too much waits already."""
        return self._changing().submit(batch)

    def samples(
        self,
        measurement: str,
        fields: Iterable[str],
        since_ns: int,
        until_ns: int,
        *,
        nodes: Sequence[str] | None = None,
        cluster: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Columns:
        """Every row of the window, by time_ns, then received_ns."""
        declared = known_measurement(measurement)
        names = known_fields(declared, fields)
        where = reading.condition(declared, nodes, cluster, tags)
        where.add("time_ns >= ? AND time_ns < ?", since_ns, until_ns)
        if measurement not in self._present:
            return reading.no_rows(declared, names)
        sql = reading.select_rows(
            declared, names, self._present[measurement], "ORDER BY time_ns, received_ns", where
        )
        with self._query() as cursor:
            return reading.to_columns(declared, names, cursor.execute(*sql))

    def tally(
        self,
        measurement: str,
        by: Sequence[str],
        since_ns: int,
        until_ns: int,
        *,
        nodes: Sequence[str] | None = None,
        cluster: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> list[Tally]:
        """The window's series, told apart by the tags ``by``."""
        declared = known_measurement(measurement)
        names = known_tags(declared, by)
        where = reading.condition(declared, nodes, cluster, tags)
        where.add("time_ns >= ? AND time_ns < ?", since_ns, until_ns)
        if measurement not in self._present:
            return []
        with self._query() as cursor:
            rows = cursor.execute(*reading.select_tally(declared, names, where)).fetchall()
        return [Tally(row[:-3], *row[-3:]) for row in rows]

    def series(
        self,
        measurement: str,
        fields: Iterable[str],
        by: Sequence[str],
        of: Sequence[Tally],
        since_ns: int,
        until_ns: int,
    ) -> Iterator[Series]:
        """These series of the window, one whole after the other."""
        declared = known_measurement(measurement)
        names, tags = known_fields(declared, fields), known_tags(declared, by)
        present = self._present.get(measurement, set())

        def fetch(batch: Sequence[Tally]) -> list[Series]:
            with self._query() as cursor:
                return series.fetch(declared, names, present, tags, batch, since_ns, until_ns, cursor)

        # The next ones are read while these are worked on.
        with ThreadPoolExecutor(1, thread_name_prefix="series") as ahead:
            waiting: Future[list[Series]] | None = None
            for batch in series.batches(of):
                begun = ahead.submit(fetch, batch)
                if waiting is not None:
                    yield from waiting.result()
                waiting = begun
            if waiting is not None:
                yield from waiting.result()

    def latest(
        self,
        measurement: str,
        fields: Iterable[str],
        *,
        received_since_ns: int | None = None,
        nodes: Sequence[str] | None = None,
        cluster: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Columns:
        """The newest row of each series: by received_ns, then time_ns."""
        declared = known_measurement(measurement)
        names = known_fields(declared, fields)
        where = reading.condition(declared, nodes, cluster, tags)
        # What claims to arrive after now was received while this host's own clock was ahead.
        where.add("received_ns <= ?", self.now_ns())
        if received_since_ns is not None:
            where.add("received_ns >= ?", received_since_ns)
        if measurement not in self._present:
            return reading.no_rows(declared, names)
        series = ", ".join(quoted(tag) for tag in tag_names(declared))
        tail = (
            f"QUALIFY row_number() OVER (PARTITION BY {series} ORDER BY received_ns DESC, time_ns DESC) = 1"
            f" ORDER BY {series}"
        )
        sql = reading.select_rows(declared, names, self._present[measurement], tail, where)
        with self._query() as cursor:
            return reading.to_columns(declared, names, cursor.execute(*sql))

    def buckets(
        self,
        measurement: str,
        fields: Mapping[str, Aggregate],
        since_ns: int,
        until_ns: int,
        *,
        width_ns: int,
        nodes: Sequence[str] | None = None,
        cluster: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Columns:
        """Each series thinned to one row per ``width_ns``."""
        declared = known_measurement(measurement)
        names = known_fields(declared, fields)
        where = reading.condition(declared, nodes, cluster, tags)
        where.add("time_ns >= ? AND time_ns < ?", since_ns, until_ns)
        if measurement not in self._present:
            return reading.no_rows(declared, names)
        sql = reading.select_buckets(declared, fields, self._present[measurement], max(1, width_ns), where)
        with self._query() as cursor:
            return reading.to_columns(declared, names, cursor.execute(*sql))

    def count(
        self,
        measurement: str,
        since_ns: int,
        until_ns: int,
        *,
        nodes: Sequence[str] | None = None,
        cluster: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> int:
        """How many rows a window holds."""
        declared = known_measurement(measurement)
        where = reading.condition(declared, nodes, cluster, tags)
        where.add("time_ns >= ? AND time_ns < ?", since_ns, until_ns)
        if measurement not in self._present:
            return 0
        with self._query() as cursor:
            row = cursor.execute(
                f"SELECT count(*) FROM {quoted(declared.name)}{where.sql}", where.values
            ).fetchone()
        return int(row[0]) if row else 0

    def distribution(
        self,
        measurement: str,
        field: str,
        group_by: Sequence[str],
        since_ns: int,
        until_ns: int,
        *,
        quantiles: Sequence[float] = QUANTILES,
        nodes: Sequence[str] | None = None,
        cluster: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> list[Distribution]:
        """The distribution of a field per group of tags, computed in the database."""
        declared = known_measurement(measurement)
        known_fields(declared, (field,))
        groups = known_tags(declared, group_by)
        where = reading.condition(declared, nodes, cluster, tags)
        where.add("time_ns >= ? AND time_ns < ?", since_ns, until_ns)
        if field not in self._present.get(measurement, ()):
            return []
        sql = reading.select_distribution(declared, field, groups, quantiles, where)
        with self._query() as cursor:
            rows = cursor.execute(*sql).fetchall()
        return [reading.to_distribution(row, len(groups), quantiles) for row in rows]

    def nodes(self) -> list[NodeSeen]:
        """Every node of which something is kept, by cluster and name."""
        return self._seen.all()

    def retain(self, older_than_ns: int) -> int:
        """Delete what was received before ``older_than_ns``; returns how many rows went."""
        return self._changing().delete(older_than_ns).result()

    def check(self) -> None:
        """Raises StoreFailed when the writer is gone or the database does not answer."""
        if self._writer is not None and not self._writer.alive:
            raise StoreFailed("the store's writer has ended")
        with self._query() as cursor:
            cursor.execute("SELECT value FROM meta LIMIT 1").fetchone()

    def subscribe(self, listener: Callable[[Commit], None]) -> None:
        """Call ``listener`` after every transaction, in the writer's thread."""
        self._changing().listeners.append(listener)

    def close(self) -> None:
        """Commit what waits, break off queries that still run, and let go of the file."""
        if self._writer is not None:
            self._writer.close()
        with self._cursors:
            self._closing = True
            for cursor in self._open:
                cursor.interrupt()
            self._cursors.wait_for(lambda: not self._open, timeout=_LONGEST_END_S)
        self._database.close()

    def _changing(self) -> Writer:
        if self._writer is None:
            raise StoreFailed("the store was opened to be read only")
        return self._writer

    @contextmanager
    def _query(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of one's own to the same database: queries and commits do not wait for each other."""
        try:
            with self._cursors:
                if self._closing:
                    raise StoreFailed("the store is closing")
                cursor = self._database.connection.cursor()
                self._open.add(cursor)
            try:
                yield cursor
            finally:
                cursor.close()
                with self._cursors:
                    self._open.discard(cursor)
                    self._cursors.notify_all()
        except duckdb.Error as error:
            raise StoreFailed(f"the store cannot answer: {str(error).strip().splitlines()[0]}") from error

    def _last_arrival_ns(self, cursor: duckdb.DuckDBPyConnection) -> int | None:
        if "batches" not in self._present:
            return None
        row = cursor.execute("SELECT max(received_ns) FROM batches").fetchone()
        return None if row is None else row[0]
