"""Measurements as columns in memory: no sample is made of each."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from truechimer.codes import ProbeOutcome, Via
from truechimer.errors import UserError
from truechimer.samples import COMMON_TAGS, MEASUREMENTS
from truechimer_analyzer.importing.found import Probe, Replies, Stop
from truechimer_analyzer.importing.samples import peer_of, source_of
from truechimer_analyzer.stores import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from truechimer_analyzer.importing.found import Measured
    from truechimer_analyzer.importing.placing import Labels

MOST_ROWS = 5_000_000
"""Some 200 bytes each while a question is answered."""


class _Rows:
    """Rows of one measurement, gathered one by one; tags as numbers of the tuples seen."""

    def __init__(self, measurement: str, tags: tuple[str, ...], fields: tuple[str, ...]) -> None:
        self._measurement = measurement
        self._tags, self._fields = tags, fields
        self._time_ns = array("q")
        self._values = [array("d") for _ in fields]
        self._series = array("l")
        self._numbers: dict[tuple[str, ...], int] = {}

    def __len__(self) -> int:
        return len(self._time_ns)

    def add(self, time_ns: int, tags: tuple[str, ...], values: tuple[float, ...]) -> None:
        """One row."""
        self._time_ns.append(time_ns)
        self._series.append(self._numbers.setdefault(tags, len(self._numbers)))
        for column, value in zip(self._values, values, strict=True):
            column.append(value)

    def extend(self, time_ns: NDArray[np.int64], tags: tuple[str, ...], values: NDArray[np.float64]) -> None:
        """Rows of one series; ``values`` (fields, rows)."""
        self._time_ns.frombytes(time_ns.tobytes())
        self._series.extend([self._numbers.setdefault(tags, len(self._numbers))] * len(time_ns))
        for column, some in zip(self._values, values, strict=True):
            column.frombytes(some.tobytes())

    def columns(self, labels: Labels) -> Columns:
        """All of them, in their order."""
        time_ns = np.array(self._time_ns, dtype=np.int64)
        series = np.array(self._series, dtype=np.intp)
        given = {"cluster": labels.cluster, "node": labels.node, "zone": ""}
        tags = {tag: np.full(len(time_ns), given[tag], dtype=np.object_) for tag in COMMON_TAGS}
        for at, tag in enumerate(self._tags):
            names = np.array([names[at] for names in self._numbers], dtype=np.object_)
            tags[tag] = names[series]
        assert set(tags) == {*COMMON_TAGS, *MEASUREMENTS[self._measurement].tags}
        fields = {
            name: np.array(values, dtype=np.float64)
            for name, values in zip(self._fields, self._values, strict=True)
        }
        return Columns(self._measurement, time_ns, time_ns, tags, fields)


def columns(measured: Iterable[Measured], labels: Labels) -> list[Columns]:
    """The rows of each measurement; a lost probe has no round trip (NaN). UserError beyond ``MOST_ROWS``."""
    probes = _Rows("truechimer_rtt", ("peer", "via"), ("outcome", "rtt_seconds"))
    stops = _Rows(
        "truechimer_pause", ("source", "runtime", "cause"), ("duration_seconds", "sync_seconds", "pauses")
    )
    windows = _Rows(
        "truechimer_pause_window",
        ("source", "runtime"),
        ("observed_seconds", "count", "total_seconds", "max_seconds", "threshold_seconds"),
    )
    nan, lost, reply = float("nan"), float(ProbeOutcome.LOST), float(ProbeOutcome.REPLY)
    for each in measured:
        if isinstance(each, Probe):
            values = (lost, nan) if each.rtt_s is None else (reply, each.rtt_s)
            probes.add(each.time_ns, (peer_of(each, labels), Via.ICMP.value), values)
        elif isinstance(each, Replies):
            answered = np.array([np.full(len(each.rtt_s), reply), each.rtt_s])
            probes.extend(each.time_ns, (peer_of(each, labels), Via.ICMP.value), answered)
        elif isinstance(each, Stop):
            sync_s = nan if each.sync_s is None else each.sync_s
            pauses = nan if each.pauses == 1 else float(each.pauses)
            tags = (source_of(each, labels), labels.runtime, each.cause)
            stops.add(each.time_ns, tags, (each.duration_s, sync_s, pauses))
        else:
            threshold_s = nan if each.threshold_s is None else each.threshold_s
            windows.add(
                each.time_ns,
                (source_of(each, labels), labels.runtime),
                (each.observed_s, float(each.stops), each.total_s, each.max_s, threshold_s),
            )
        if len(probes) + len(stops) + len(windows) > MOST_ROWS:
            raise UserError(
                f"the file holds more than {MOST_ROWS} measurements: too many for --input",
                hint="import it into a store (truechimer import), and ask that",
            )
    return [rows.columns(labels) for rows in (probes, stops, windows) if len(rows)]
