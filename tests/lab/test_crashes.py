"""kill -9 at any moment: what was committed arrives exactly once, and at most a second is missing."""

import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from lab.harness import Network, wait_until, wall_ns
from lab.harness.fleet import ANALYZER_PORT, Fleet, agent_toml

from truechimer.lineprotocol import decode
from truechimer.samples import MEASUREMENTS, Sample

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

URL = f"http://127.0.0.1:{ANALYZER_PORT}"
KILLS = 20
DOWN_S = 60.0
COMMIT_S = 1.0
SLACK_S = 0.6
"""For the harness's own kill and the disk's sync on a busy machine."""


def identity(sample: Sample) -> tuple[str, tuple[tuple[str, str], ...], int]:
    return sample.measurement, tuple(sorted(sample.tags.items())), sample.time_ns


def spooled(state_dir: Path) -> list[Sample]:
    """Every sample in the spool: a sink that never answers keeps them all there."""
    with closing(sqlite3.connect(f"file:{state_dir / 'spool.sqlite'}?mode=ro", uri=True)) as db:
        batches = [bytes(row[0]) for row in db.execute("SELECT lines FROM batch ORDER BY id")]
    samples: list[Sample] = []
    for batch in batches:
        found = decode(batch)
        assert not found.refused
        samples += found.samples
    return samples


def newest_batch(state_dir: Path) -> int:
    with closing(sqlite3.connect(f"file:{state_dir / 'spool.sqlite'}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT max(id) FROM batch").fetchone()[0])


def acknowledged(state_dir: Path) -> int:
    """The last batch that the analyzer has, by the agent's own cursor."""
    with closing(sqlite3.connect(f"file:{state_dir / 'spool.sqlite'}?mode=ro", uri=True)) as db:
        cursors = dict(db.execute("SELECT sink, batch_id FROM cursor"))
    return max((int(at) for sink, at in cursors.items() if str(ANALYZER_PORT) in sink), default=0)


def stored(store: Path) -> Counter[tuple[str, tuple[tuple[str, str], ...], int]]:
    """How often each sample's identity is in the store."""
    (file,) = [path for path in store.iterdir() if path.suffix in (".duckdb", ".db")]
    counted: Counter[tuple[str, tuple[tuple[str, str], ...], int]] = Counter()
    with duckdb.connect(str(file), read_only=True) as db:
        for measurement in MEASUREMENTS.values():
            tags = ("cluster", "node", *measurement.tags)
            columns = ", ".join(tags)
            for *values, time_ns in db.execute(
                f"SELECT {columns}, time_ns FROM {measurement.name}"
            ).fetchall():
                key = tuple(sorted((tag, value) for tag, value in zip(tags, values, strict=True) if value))
                counted[measurement.name, key, time_ns] += 1
    return counted


def test_every_committed_sample_arrives_exactly_once(network: Network, tmp_path: Path) -> None:
    """The analyzer dead for 60 s and the agent killed at 20 random moments, before, during and after it."""
    rng = random.Random(20261122)
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0]) as fleet:
        analyzer = fleet.analyzer()
        config = agent_toml(
            tmp_path / "agent",
            node="n1",
            servers=fleet.addresses,
            sinks=[URL, "http://127.0.0.1:9"],
            tcp=[f"127.0.0.1:{ANALYZER_PORT}"],
            probe_interval_s=0.1,
        )
        agent = fleet.agent(config)
        killed_at_ns: list[int] = []

        def kill_agent() -> None:
            time.sleep(rng.uniform(0.3, 2.5))
            agent.kill()
            killed_at_ns.append(wall_ns())
            agent.restart()

        for _ in range(4):
            kill_agent()
        analyzer.kill()
        died_ns = wall_ns()
        while len(killed_at_ns) < KILLS - 4:
            kill_agent()
        time.sleep(max(0.0, DOWN_S - (wall_ns() - died_ns) / 1e9))
        analyzer.restart()
        while len(killed_at_ns) < KILLS:
            kill_agent()
        agent.stop()
        samples = spooled(tmp_path / "agent/state")
        agent.restart()

        newest = newest_batch(tmp_path / "agent/state")
        wait_until(
            lambda: acknowledged(tmp_path / "agent/state") >= newest, "the spool to be shipped", timeout_s=120
        )
        agent.stop()
        assert analyzer.stop() == 0
        in_store = stored(tmp_path / "analyzer/store")

    assert len(killed_at_ns) == KILLS
    expected = {identity(sample) for sample in samples}
    assert len(expected) == len(samples) > 500
    assert [key for key, count in in_store.items() if count != 1] == []
    assert expected - set(in_store) == set()

    probes_ns = sorted(sample.time_ns for sample in samples if sample.measurement == "truechimer_rtt")
    for at_ns in killed_at_ns:
        newest_ns = max(time_ns for time_ns in probes_ns if time_ns <= at_ns)
        assert (at_ns - newest_ns) / 1e9 <= COMMIT_S + SLACK_S
