"""An agent that writes ClockBound's segments, read by a client in C, beside real servers of known truth.

The servers keep the machine's own time, so the kernel's CLOCK_REALTIME is the truth; agent and client share a
wall clock that is shifted from it.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agent.clockboundhost import build_client, clients_interval, clients_status, daemon
from lab.harness import Host, Network, ShiftedClock, wait_until
from lab.harness.fleet import Fleet, agent_toml

from truechimer_agent.clockbound.layout import V1, V2, Layout

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NS = 10**9
NOWHERE = "http://127.0.0.1:9"
SHIFT_NS = -12_000_000
STEP_NS = 500_000_000


def configured(directory: Path, addresses: list[str]) -> Path:
    config = agent_toml(directory, node="n1", servers=addresses, sinks=[NOWHERE])
    text = f'[clockbound]\nsegment = "{directory}/shm0"\nsegment_v1 = "{directory}/shm"\n'
    config.write_text(config.read_text() + text)
    return config


def ask(
    host: Host, client: Path, directory: Path, layout: Layout, env: dict[str, str], count: int = 1
) -> list[dict[str, Any]]:
    """What the C client prints: from the segment of that version, once every 20 ms."""
    path = directory / ("shm" if layout is V1 else "shm0")
    done = host.run(str(client), str(path), str(layout.version), str(count), "20000", env=env, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_clients_of_both_versions_get_intervals_that_contain_the_truth(
    network: Network, tmp_path: Path, shifted_clock: Callable[..., ShiftedClock]
) -> None:
    """Before and after a step of half a second, each as published and as the client computes it."""
    client = build_client(tmp_path)
    clock = shifted_clock(SHIFT_NS)
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0]) as fleet:
        directory = tmp_path / "agent"
        fleet.agent(configured(directory, fleet.addresses), env=clock.env)

        def seen(layout: Layout, count: int = 1) -> list[dict[str, Any]]:
            return ask(fleet.host, client, directory, layout, clock.env, count)

        def is_synchronized() -> bool:
            return all(seen(layout)[0]["status"] == 1 for layout in (V1, V2))

        wait_until(is_synchronized, 30)
        for least_ns, step_ns in [(abs(SHIFT_NS), 0), (STEP_NS - abs(SHIFT_NS), STEP_NS)]:
            clock.step_ns(step_ns)

            def is_told(least_ns: int = least_ns) -> bool:
                return all(seen(layout)[0]["bound_ns"] >= least_ns for layout in (V1, V2))

            wait_until(is_told, 10)
            for layout in (V1, V2):
                for line in seen(layout, 100):
                    assert line["status"] == 1
                    # Of the instant at which the client read W, between two looks at the truth.
                    assert line["earliest_ns"] <= line["after_ns"]
                    assert line["before_ns"] <= line["latest_ns"]
                    assert least_ns <= line["bound_ns"] < least_ns + 100_000_000
                    assert line["before_ns"] <= line["real_ns"] - clock.shift_ns <= line["after_ns"]
                    assert line["void_after_ns"] == line["as_of_ns"] + 5 * NS
                    assert 0 < line["max_drift_ppb"] < 2_000_000
                    assert line["support"] == 0
        for layout, name in ((V1, "shm"), (V2, "shm0")):
            bound = layout.decode((directory / name).read_bytes())
            (line,) = seen(layout)
            if line["as_of_ns"] == bound.as_of_ns:
                interval = clients_interval(bound, line["real_ns"], line["coarse_ns"])
                assert (line["earliest_ns"], line["latest_ns"]) == interval
                assert line["status"] == clients_status(bound, line["coarse_ns"])


def test_a_live_daemon_keeps_its_path_and_the_agent_takes_it_when_the_daemon_is_dead(
    network: Network, tmp_path: Path
) -> None:
    """The agent goes on without it, says so once, and writes version 1 meanwhile."""
    with Fleet(network, tmp_path, [0.0, 0.0, 0.0]) as fleet:
        directory = tmp_path / "agent"
        config = configured(directory, fleet.addresses)
        path = directory / "shm0"
        with daemon(path, V2, 1.0):
            agent = fleet.agent(config)

            def is_told() -> bool:
                return b"clockbound" in agent.request("GET", "/healthz").body

            wait_until(is_told, 30)
            wait_until((directory / "shm").exists, 10)
            time.sleep(12)
            assert V2.decode(path.read_bytes()).as_of_ns == 0
            assert V1.decode((directory / "shm").read_bytes()).as_of_ns > 0
        wait_until(lambda: V2.decode(path.read_bytes()).as_of_ns > 0, 30)
        wait_until(lambda: not is_told(), 10)
        log = agent.log.read_text()
        assert log.count("collector cannot work: collector=clockbound") == 1
        assert log.count("collector works again: collector=clockbound") == 1
        assert agent.stop() == 0
