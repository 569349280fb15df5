"""Every answer from the real embedded store, and a fleet of a thousand nodes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.mesh_path import MeshPath
from analyzer.synthetic import NS, ArrayStore

from truechimer.errors import NotEnough, UserError
from truechimer.samples import Sample
from truechimer_analyzer.answers import COMMANDS, answer
from truechimer_analyzer.stores import Store, open_store
from truechimer_analyzer.window import iso


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"embedded:{tmp_path}/store")
    yield opened
    opened.close()


def shifted(samples: list[Sample], now_ns: int) -> list[Sample]:
    """Samples as if T0 + 100 s were now."""
    by_ns = now_ns - made.T0 - 100 * NS
    return [Sample(s.measurement, s.tags, s.fields, s.time_ns + by_ns) for s in samples]


def host() -> list[Sample]:
    return [
        made.bound(98, -0.001, 0.002),
        made.server(97, "10.0.0.1"),
        *(made.server(float(at), "10.0.0.9", 2) for at in (65, 81, 97)),
        made.event(50, "step", -0.5),
        *(made.clock(float(at), 12.0) for at in range(0, 100, 10)),
        *(made.pause_window(float(at)) for at in range(0, 100, 10)),
        made.pause(60.0, 0.05),
        *(made.probe(float(at), 0.001 + at * 37 % 100 * 1e-5) for at in range(100)),
        made.probe(97.0, 0.001, peer="z", via="stamp"),
    ]


def test_every_answer_comes_from_a_real_store(store: Store) -> None:
    made.stored(store, shifted(host(), store.now_ns()))
    documents: dict[str, Any] = {}
    for command in COMMANDS:
        options = {"detect_within": "1s"} if command in {"timeouts", "report"} else {}
        documents[command] = answer(command, options, store)
        json.dumps(documents[command], allow_nan=False)
    (node,) = documents["clocks"]["nodes"]
    assert node["state"] == "stepped"
    assert node["judgement"] == "proven_within"
    assert node["lower_s"] < -0.001 < 0.002 < node["upper_s"]
    assert node["last_seen_s"] < 30
    assert {flag["flag"] for flag in node["flags"]} == {"stepped", "falseticker_in_use"}
    assert documents["rtt"]["paths"][0]["count"] == 100
    assert documents["pauses"]["sources"][0]["count"] == 1
    assert documents["pauses"]["sources"][0]["observed_s"] == 100
    assert documents["timeouts"]["uses"][0]["timeout_s"] is not None
    assert "10.0.0.9" in documents["report"]["markdown"]


def test_losses_of_a_blocked_direction_are_settled_from_a_real_store(store: Store) -> None:
    """Filters, hours and the peer's reports come from DuckDB as they do from memory."""
    path = MeshPath(until_s=160, back=(60, 1e9))
    made.stored(store, path.samples)
    window = {"from": str(made.T0 / made.NS), "to": str(made.T0 / made.NS + path.until_s)}
    options = window | {"node": "a", "peer": "b", "via": "stamp", "by": "hour"}
    document: dict[str, Any] = answer("rtt", options, store)
    (found,) = document["paths"]
    in_memory: dict[str, Any] = answer("rtt", options, ArrayStore(path.samples, 160))  # type: ignore[arg-type]
    assert found == in_memory["paths"][0]
    assert (found["lost_forward"], found["lost_backward"] >= 70) == (0, True)
    assert [hour["count"] for hour in found["hours"]] == [found["count"]]
    assert answer("rtt", window | {"via": "icmp"}, store)["paths"] == []


def test_one_node_and_one_past_instant_from_a_real_store(store: Store) -> None:
    now_ns = store.now_ns()
    made.stored(store, shifted(host(), now_ns))
    found: dict[str, Any] = answer("clocks", {"node": "a", "to": iso(now_ns - NS)}, store)
    assert found["nodes"][0]["judgement"] == "proven_within"
    assert len(found["nodes"][0]["history"]) == 1
    with pytest.raises(UserError, match="no node"):
        answer("rtt", {"node": "b"}, store)


def test_an_empty_real_store_is_answered(store: Store) -> None:
    found: dict[str, Any] = answer("clocks", {}, store)
    assert (found["nodes"], found["summary"]["nodes"], found["window_s"]) == ([], 0, 3600)
    assert answer("rtt", {}, store)["paths"] == []
    assert answer("pauses", {}, store)["sources"] == []
    with pytest.raises(NotEnough):
        answer("timeouts", {}, store)
    assert "markdown" in answer("report", {}, store)
    with pytest.raises(UserError) as refused:
        answer("clocks", {"node": "a"}, store)
    assert refused.value.hint == "no nodes have reported yet"


def test_a_thousand_nodes_take_as_many_reads_as_one() -> None:
    """The newest of three, the last minutes of four, a longer past of three where nodes are flagged."""
    samples: list[Sample] = []
    for number in range(1000):
        name = f"n{number:04}"
        samples += [made.clock(float(at), 12.0, name) for at in range(0, 300, 10)]
        samples += [made.server(295.0, f"10.0.0.{i}", 2 if number % 50 == i else 1, name) for i in range(4)]
        samples.append(made.bound(298, -0.001, 0.002 if number % 10 else 0.2, name))
    store = CountingStore(samples, 300)
    found: dict[str, Any] = answer("clocks", {}, store)  # type: ignore[arg-type]
    assert found["summary"]["nodes"] == 1000
    assert found["summary"]["unproven"] == 100
    assert store.reads <= 10


class CountingStore(ArrayStore):
    """Counts how often it was read."""

    reads = 0

    def samples(self, *args: Any, **kwargs: Any) -> Any:
        self.reads += 1
        return super().samples(*args, **kwargs)


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_fields_never_become_nan(command: str) -> None:
    """Points that lack most fields, as another version might send them."""
    samples = [
        made.sample("truechimer_bound", 1, {"status": 1}),
        made.sample("truechimer_ntp", 1, {"outcome": 1}, server="s"),
        made.sample("truechimer_clock", 1, {"epoch": 1}),
        made.sample("truechimer_clock_event", 1, {"size_seconds": 0.1}, kind="step"),
        made.sample("truechimer_kernel", 1, {"status": 0}),
        made.sample("truechimer_rtt", 1, {"outcome": 0}, peer="b", via="tcp"),
        made.sample("truechimer_rtt", 1, {"outcome": 0}, peer="b", via="stamp"),
        made.sample("truechimer_pause", 1, {"confidence_ratio": 0.5}, source="s", runtime="r", cause="io"),
        made.sample("truechimer_pause_window", 1, {"count": 0}, source="s", runtime="r"),
    ]
    try:
        document = answer(command, {}, ArrayStore(samples, 5))  # type: ignore[arg-type]
    except NotEnough:
        assert command == "timeouts"
        return
    assert "nan" not in json.dumps(document, allow_nan=False).lower().replace("unanswer", "")
    assert not any(isinstance(value, np.generic) for value in document.values())
