"""The same agent, shipping to a real VictoriaMetrics: the same samples as in the embedded store."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from lab.harness import Network, VictoriaMetrics, wait_until
from lab.harness.fleet import ANALYZER_PORT, Fleet, agent_toml

from truechimer.lineprotocol import decode
from truechimer.samples import COMMON_TAGS, MEASUREMENTS

pytestmark = pytest.mark.lab

URL = f"http://127.0.0.1:{ANALYZER_PORT}"
RUN_S = 25
ROUNDING = 1e-12
"""VictoriaMetrics keeps values as decimals (lib/decimal): 15 significant digits and more."""

Series = dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[int, float]]]


def embedded(store: Path) -> Series:
    """Every field's series in the embedded store: (ms, value)."""
    (file,) = [path for path in store.iterdir() if path.suffix in (".duckdb", ".db")]
    found: Series = {}
    with duckdb.connect(str(file), read_only=True) as db:
        for measurement in MEASUREMENTS.values():
            tags = (*COMMON_TAGS, *measurement.tags)
            fields = [field.name for field in measurement.fields]
            columns = ", ".join((*tags, "time_ns", *fields))
            for row in db.execute(f"SELECT {columns} FROM {measurement.name}").fetchall():
                labels = tuple(sorted((tag, str(v)) for tag, v in zip(tags, row, strict=False) if v))
                at_ms = row[len(tags)] // 10**6
                for field, value in zip(fields, row[len(tags) + 1 :], strict=True):
                    if value is not None:
                        name = f"{measurement.name}_{field}"
                        found.setdefault((name, labels), []).append((at_ms, float(value)))
    return {key: sorted(points) for key, points in found.items()}


def exported(victoria: VictoriaMetrics) -> Series:
    """Every series of VictoriaMetrics, by /api/v1/export."""
    victoria.flush()
    found: Series = {}
    for series in victoria.export('{__name__=~"truechimer_.*"}'):
        labels = dict(series.labels)
        name = labels.pop("__name__")
        labels.pop("db", None)
        key = name, tuple(sorted(labels.items()))
        found.setdefault(key, []).extend(zip(series.times_ms, series.values, strict=True))
    return {key: sorted(points) for key, points in found.items()}


def settled(victoria: VictoriaMetrics) -> Series:
    """Every series, once three seconds have brought nothing new: the newest points show a little later."""
    seen = exported(victoria)
    while True:
        time.sleep(3)
        before, seen = seen, exported(victoria)
        if before == seen:
            return seen


def in_spool(state_dir: Path) -> set[tuple[str, int]]:
    """(measurement, ms) of what had not reached both stores when the agent stopped: it is kept, not lost."""
    with closing(sqlite3.connect(f"file:{state_dir / 'spool.sqlite'}?mode=ro", uri=True)) as db:
        batches = [bytes(row[0]) for row in db.execute("SELECT lines FROM batch")]
    return {(s.measurement, s.time_ns // 10**6) for lines in batches for s in decode(lines).samples}


def without(unsent: set[tuple[str, int]], series: Series) -> Series:
    """The series without the points of those measurements and times."""
    kept = {
        (name, labels): [
            (at_ms, value)
            for at_ms, value in points
            if not any(name.startswith(measurement) and at_ms == ms for measurement, ms in unsent)
        ]
        for (name, labels), points in series.items()
    }
    return {key: points for key, points in kept.items() if points}


def test_victoria_metrics_holds_every_sample_that_the_embedded_store_holds(
    network: Network, tmp_path: Path
) -> None:
    """Same series, same count, same milliseconds, same values within its rounding."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.037]) as fleet:
        fleet.analyzer()
        with VictoriaMetrics(fleet.host, tmp_path / "victoria") as victoria:
            config = agent_toml(
                tmp_path / "agent",
                node="n 1",
                servers=fleet.addresses,
                sinks=[URL, victoria.url],
                tcp=[f"127.0.0.1:{ANALYZER_PORT}", "127.0.0.1:9"],
                probe_interval_s=0.25,
            )
            agent = fleet.agent(config)
            time.sleep(RUN_S)
            wait_until(
                lambda: all(
                    sink["down_s"] is None and sink["sent_samples_total"] > 0
                    for sink in agent.request("GET", "/healthz").json()["sinks"]
                ),
                "both sinks to answer",
            )
            assert agent.stop() == 0
            theirs = settled(victoria)
            unsent = in_spool(tmp_path / "agent/state")
        fleet.close_analyzer()
        ours = without(unsent, embedded(tmp_path / "analyzer/store"))
        theirs = without(unsent, theirs)
    assert set(theirs) == set(ours)
    assert len(ours) > 60
    for key, points in ours.items():
        assert [at_ms for at_ms, _ in theirs[key]] == [at_ms for at_ms, _ in points], key
        for (_, theirs_value), (_, ours_value) in zip(theirs[key], points, strict=True):
            assert theirs_value == pytest.approx(ours_value, rel=ROUNDING, abs=1e-15), key
