"""Where samples live: one small protocol, one store a package, and how a store is found by its address.

Columns (NumPy) come back, never row objects. Two times belong to every row: ``time_ns`` is the sample's
own stamp, ``received_ns`` the store's arrival clock, which never steps back while the store is open.
*Latest* and *stale* go by arrival, because stamps are made by the clocks that are under suspicion.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from truechimer.errors import TruechimerError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from truechimer.samples import Sample

Aggregate = Literal["min", "max", "avg", "sum", "last"]
AGGREGATES: tuple[Aggregate, ...] = ("min", "max", "avg", "sum", "last")
QUANTILES = (0.5, 0.9, 0.99, 0.999)


class StoreFailed(TruechimerError):  # noqa: N818 - reads as the statement it is
    """The store is open but could not do it: disk full, file damaged, closing. Nothing was stored."""


class StoreBusy(StoreFailed):
    """More is waiting to be committed than the store takes; try again in ``retry_after_s``."""

    retry_after_s = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples that are stored together or not at all.

    ``identity`` (a SHA-256, 32 bytes) names the batch: one that is known is acknowledged, not stored again.
    """

    identity: bytes
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Written:
    """A batch that is durable: rows stored by this call (0 for a known batch), and when it arrived."""

    rows: int
    duplicate: bool
    received_ns: int


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction, as told to those who subscribed: several batches committed together."""

    received_ns: int
    batches: int
    duplicates: int
    rows: int
    nodes: frozenset[tuple[str, str]]
    duration_s: float


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows as columns of equal length.

    ``time_ns`` and ``received_ns`` are int64 Unix ns. ``tags`` holds every tag of the measurement and
    cluster, zone and node, as str objects; a zone that was never given is ``""``. ``fields`` holds
    float64, integers and codes too (exact to 2**53); NaN where a point lacks the field.
    """

    measurement: str
    time_ns: NDArray[np.int64]
    received_ns: NDArray[np.int64]
    tags: Mapping[str, NDArray[np.object_]]
    fields: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many rows one series has, and its first and last ``time_ns``.

    ``key`` holds the values of the tags that series were told apart by, in their order.
    """

    key: tuple[str, ...]
    rows: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Series:
    """One series whole, by time_ns: columns of equal length as those of :class:`Columns`."""

    key: tuple[str, ...]
    time_ns: NDArray[np.int64]
    fields: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class NodeSeen:
    """A node that ever sent something still kept, with its first and last arrival (Unix ns)."""

    cluster: str
    node: str
    zone: str
    first_received_ns: int
    last_received_ns: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """One group's distribution of a field; ``count`` leaves out the ``missing`` points without it.

    ``group`` holds the values of the tags asked for, in their order; ``quantiles`` are observed values.
    All numbers are NaN when ``count`` is 0.
    """

    group: tuple[str, ...]
    count: int
    missing: int
    min: float
    mean: float
    max: float
    quantiles: Mapping[float, float]


class Readable(Protocol):
    """What the answers need of a store. Safe to call from several threads.

    Windows are ``since_ns`` (included) to ``until_ns`` (left out) of ``time_ns``. ``tags`` holds a row to
    the given values. UserError for a measurement, field or tag that does not exist; StoreFailed when the
    store cannot answer.
    """

    def now_ns(self) -> int:
        """The arrival clock: Unix ns, never stepping back."""
        ...

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
        ...

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
        """The window's series, told apart by the tags ``by``, in order of their keys."""
        ...

    def series(
        self,
        measurement: str,
        fields: Iterable[str],
        by: Sequence[str],
        of: Sequence[Tally],
        since_ns: int,
        until_ns: int,
    ) -> Iterator[Series]:
        """These series of the window's :meth:`tally`, one whole after the other, in the order of ``of``.

        For more rows than fit into memory: so many series are read at once as hold some millions.
        """
        ...

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
        """The newest row of each series (distinct tags): by received_ns, then time_ns.

        ``received_since_ns`` leaves out what arrived earlier, and spares the store reading it.
        """
        ...

    def nodes(self) -> list[NodeSeen]:
        """Every node of which something is kept, by cluster and name."""
        ...


class Store(Readable, Protocol):
    """What the analysis and the server need of a store; as of :class:`Readable`."""

    @property
    def address(self) -> str:
        """As it is written in the configuration; never with secrets."""
        ...

    def write(self, batch: Batch) -> Written:
        """Store a batch; returns once it is durable."""
        ...

    def submit(self, batch: Batch) -> Future[Written]:
        """Begin to store a batch; the future ends once it is durable. StoreBusy when too much waits."""
        ...

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
        """Each series thinned to one row per ``width_ns`` (1: every row) by each field's aggregate.

        Ordered by series, then time. A bucket's time is that of its last row.
        """
        ...

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
        ...

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
        """The distribution of a field per group of tags, computed in the store; ordered by group."""
        ...

    def retain(self, older_than_ns: int) -> int:
        """Delete what was received before ``older_than_ns``; returns how many rows went."""
        ...

    def check(self) -> None:
        """Raises StoreFailed when the store can no longer write or answer."""
        ...

    def subscribe(self, listener: Callable[[Commit], None]) -> None:
        """Call ``listener`` after every transaction, in the store's writer: it must be quick."""
        ...

    def close(self) -> None:
        """Commit what waits, and let go of the store."""
        ...


def open_store(address: str, *, read_only: bool = False) -> Store:
    """Open a store by its address (``embedded:DIR``).

    Raises UserError for an address that is none or whose store is held by another process, NothingThere
    when it is to be read and does not exist, StoreFailed when it cannot be opened.
    """
    kind, separator, rest = address.partition(":")
    if kind == "embedded" and separator and rest:
        from truechimer_analyzer.stores.embedded import open_embedded

        return open_embedded(Path(rest).expanduser(), read_only=read_only)
    if kind in {"influxdb", "prometheus"}:
        raise UserError(f"stores at {kind}:// are not built yet", hint="use embedded:DIR")
    raise UserError(
        f"{address!r} is no address of a store",
        hint="write embedded:DIR, for example embedded:/var/lib/truechimer/analyzer",
    )
