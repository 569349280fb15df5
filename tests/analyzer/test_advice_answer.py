"""`timeouts` with products, from stored samples: verdicts, audits without evidence, refusals, what binds."""

import json
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore

from truechimer.errors import NotEnough, UserError
from truechimer.samples import Sample
from truechimer_analyzer.advice.measured import Stream
from truechimer_analyzer.advice.streams import reply_stream, silence_stream
from truechimer_analyzer.answers import answer
from truechimer_analyzer.timeouts import TimeoutsRefused
from truechimer_analyzer.timeouts.binding import PAUSE_FIELDS
from truechimer_analyzer.timeouts.collecting import operations
from truechimer_analyzer.timeouts.holder import SOURCE, WINDOW_FIELDS, holder_of
from truechimer_analyzer.timeouts.record import record_of

HOUR = 3600
KEYS = {"product", "version", "verdict", "settings", "constraints", "snippet", "predicted", "binding"}


def ask(samples: list[Sample], now_s: float = HOUR, **options: str) -> dict[str, Any]:
    document = answer("timeouts", {"since": "30d", **options}, ArrayStore(samples, now_s))  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    return document


def hour(mean_s: float = 0.002, seed: int = 3) -> list[Sample]:
    delays = np.random.default_rng(seed).exponential(mean_s, HOUR) + 0.001
    return [made.probe(float(at), float(delay), via="tcp") for at, delay in enumerate(delays)]


def product(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in document["products"] if each["product"] == name)


def setting(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in entry["settings"] if each["setting"] == name)


def test_without_a_product_there_are_none() -> None:
    assert ask(hour(), false_per_month="10000")["products"] == []


def test_a_product_gets_every_field_of_the_contract() -> None:
    document = ask(hour(), product="etcd@3.5", false_per_month="10000")
    entry = product(document, "etcd")
    assert set(entry) >= KEYS
    assert entry["version"] == "3.5"
    assert entry["verdict"] == "keep"
    election = setting(entry, "election-timeout")
    assert (election["unit"], election["default"], election["current"]) == ("ms", 1000, 1000)
    assert election["advised"] == 1000
    assert not election["given"]
    assert entry["predicted"]["current"]["failover_s"] > 1
    assert {"rule", "current", "advised"} <= set(entry["constraints"][0])


def test_present_settings_are_audited() -> None:
    current = json.dumps({"etcd": {"election-timeout": 300, "heartbeat-interval": 100}})
    entry = product(ask(hour(), current=current, false_per_month="10000"), "etcd")
    assert entry["verdict"] == "tune"
    election = setting(entry, "election-timeout")
    assert election["given"]
    assert election["current"] == 300
    assert 500 <= election["advised"] <= 1000
    assert entry["constraints"][0]["current"] == "violated"
    assert entry["constraints"][0]["advised"] == "holds"
    assert entry["snippet"] == f"heartbeat-interval: 100\nelection-timeout: {election['advised']}\n"


def test_a_far_network_asks_for_longer_timeouts() -> None:
    entry = product(ask(hour(0.3), product="etcd", false_per_month="10000"), "etcd")
    assert entry["verdict"] == "tune"
    heartbeat, election = (setting(entry, name) for name in ("heartbeat-interval", "election-timeout"))
    assert 300 <= heartbeat["advised"] <= 340
    assert election["advised"] >= 10 * heartbeat["at_least"] * 0.9
    assert entry["predicted"]["advised"]["false_per_month"] <= 10_000


def test_pauses_bind_and_are_named() -> None:
    """Collections of 40 s every ten minutes on b: no session of ten seconds survives them."""
    samples = hour()
    for at in range(300, HOUR, 600):
        samples.append(made.pause(float(at), 40.0, cause="gc", node="b", source="kafka", runtime="jvm"))
    samples += [made.pause_window(float(at), node="b") for at in range(0, HOUR, 10)]
    samples += [made.probe(float(at) + 0.5, 0.002, node="b", peer="a") for at in range(HOUR)]
    entry = product(ask(samples, product="kafka-consumer@2.8", false_per_month="3000"), "kafka-consumer")
    assert entry["verdict"] == "tune"
    session = setting(entry, "session.timeout.ms")
    assert session["current"] == 10_000
    assert session["advised"] >= 40_000
    assert entry["binding"] == "pause:gc@b"


def test_a_log_of_collections_alone_is_advice_for_sessions() -> None:
    """Nobody probed: pauses decide, are named, and what only probes tell is missing."""
    samples = [
        made.pause(600.0 * at + 100, 12.0, cause="gc", source="kafka", runtime="jvm") for at in range(6)
    ]
    samples += [made.pause_window(float(at), source="kafka", runtime="jvm") for at in range(0, HOUR, 10)]
    document = ask(samples, product="kafka-consumer@2.8,redis-sentinel,etcd", false_per_month="3000")
    consumer = product(document, "kafka-consumer")
    assert consumer["verdict"] == "tune"
    assert setting(consumer, "session.timeout.ms")["advised"] == 15_000
    assert consumer["binding"] == "pause:gc@a"
    assert "nobody probed" in setting(consumer, "session.timeout.ms")["reason"]
    sentinel = product(document, "redis-sentinel")
    assert sentinel["verdict"] == "fix_first"
    assert "TILT" in sentinel["fix"]
    assert product(document, "etcd")["verdict"] == "insufficient_data"


def test_a_target_beyond_the_evidence_is_refused_and_still_audited() -> None:
    current = json.dumps({"etcd": {"election-timeout": 300}})
    with pytest.raises(TimeoutsRefused) as refused:
        ask(hour(), current=current)
    entry = product(refused.value.document, "etcd")
    assert entry["verdict"] == "insufficient_data"
    assert "more of these probes" in entry["missing"][0]
    assert setting(entry, "election-timeout")["advised"] is None
    assert entry["constraints"][0]["current"] == "violated"


def test_an_audit_needs_no_evidence() -> None:
    """In an empty store the uses are refused, and rules of the present settings are checked all the same."""
    current = json.dumps({"zookeeper": {"tickTime": 2000, "sessionTimeout": 60000}})
    with pytest.raises(TimeoutsRefused) as refused:
        ask([], current=current)
    document = refused.value.document
    assert document["uses"] == []
    entry = product(document, "zookeeper")
    (clamp,) = entry["clamps"]
    assert clamp["current"] == {"given": 60000, "becomes": 40000}
    with pytest.raises(NotEnough):
        ask([])


def test_all_products_are_answered_at_once() -> None:
    """Requests are refused at this rate, heartbeats are not; what was not measured is named for each."""
    document = ask(hour(), product="all", false_per_month="2500")
    verdicts = {each["product"]: each["verdict"] for each in document["products"]}
    assert len(verdicts) >= 9
    assert "keep" in verdicts.values()


def test_what_is_no_product_is_refused_before_anything_is_read() -> None:
    for options in ({"product": "etdc"}, {"current": "{"}, {"current": "{}"}, {"current": '{"etdc": {}}'}):
        with pytest.raises(UserError):
            ask(hour(), **options)


def test_heartbeats_rarer_and_more_frequent_than_the_probes() -> None:
    """Three lost probes are a silence of four seconds to all; quicker heartbeats are not held to a second."""
    samples = hour(0.001)
    for at in (1000, 1001, 1002):
        samples[at] = made.probe(float(at), None)
    every = made.columns("truechimer_rtt", samples)
    pauses = made.columns("truechimer_pause", [])
    holder = holder_of(pauses, [])
    assert PAUSE_FIELDS
    assert WINDOW_FIELDS
    stream = silence_stream(record_of(every, pauses), pauses, holder, 1e6)
    assert stream is not None
    quick = stream.timeout_s(0.1)
    assert quick is not None
    assert 0.1 < quick < 0.2
    strict = silence_stream(record_of(every, pauses), pauses, holder, 2200)
    assert strict is not None
    for every_s in (0.1, 1.0):
        strict_s = strict.timeout_s(every_s)
        assert strict_s is not None
        assert 4.0 <= strict_s <= 8.0
    assert stream.note is not None
    assert "one every 1 s" in (stream.note(0.1) or "")
    assert stream.note(1.0) is None
    fine = stream.false_per_month(1.0, 5.0)
    coarse = stream.false_per_month(1.0, 3.0)
    assert fine is not None
    assert coarse is not None
    assert fine <= coarse
    assert stream.timeout_s(0.0) is None


def stream_of(samples: list[Sample], false_per_month: float = 1.0) -> Stream:
    """The silences' stream of probes, where no pauses were watched."""
    pauses = made.columns("truechimer_pause", [])
    holder = holder_of(pauses, [])
    record = record_of(made.columns("truechimer_rtt", samples), pauses)
    stream = silence_stream(record, pauses, holder, false_per_month)
    assert stream is not None
    return stream


def test_single_losses_are_silences_of_heartbeats_rarer_than_the_probes() -> None:
    """Every hundredth probe is lost: of heartbeats every 10 s at a timeout of 15 s as many are."""
    rng = np.random.default_rng(7)
    samples = [made.probe(float(at), None if rng.random() < 0.01 else 0.001) for at in range(30_000)]
    told = stream_of(samples).false_per_month(10.0, 15.0)
    assert told is not None
    assert told >= 0.9 * 0.01 * 259_200


def test_heartbeats_between_the_probes_are_not_held_to_silences_that_only_probes_show() -> None:
    """Outages of 0.95 s: a heartbeat every 0.75 s misses two in 4 of 15, a probe a second never does."""
    rng = np.random.default_rng(8)
    begins = np.sort(rng.uniform(0, 20_000, 400))
    ends = begins + 0.95

    def is_lost(at: float) -> bool:
        return bool(((begins <= at) & (at < ends)).any())

    samples = [made.probe(float(at), None if is_lost(at) else 0.001) for at in range(20_000)]
    arrived = [at for at in np.arange(0.3, 20_000, 0.75).tolist() if not is_lost(at)]
    met = np.count_nonzero(np.diff(arrived) > 2.2) * 2_592_000 / 20_000
    assert met > 5000
    told = stream_of(samples).false_per_month(0.75, 2.2)
    assert told is not None
    assert told >= met


def test_no_path_alone_alarms_oftener_than_tolerated_with_quick_heartbeats() -> None:
    """Of twenty paths one is cut for 3 s every 500 s: the average must not hide it."""
    samples = [
        made.probe(float(at), None if path == 0 and at % 500 < 3 else 0.001, peer=f"b{path}")
        for at in range(6000)
        for path in range(20)
    ]
    tolerated = 2000.0
    timeout_s = stream_of(samples, tolerated).timeout_s(0.1)
    assert timeout_s is not None
    assert timeout_s > 3.0


def test_a_pause_lengthens_quick_heartbeats_by_itself_and_one_of_their_intervals() -> None:
    """Stops of 600 ms at either end, of probes every second: a silence of 700 ms to heartbeats of 100 ms."""
    every = made.columns("truechimer_rtt", hour(0.001))
    for node in ("a", "b"):
        stops = [made.pause(100.0 * at + 0.3, 0.6, node=node) for at in range(1, 30)]
        pauses = made.columns("truechimer_pause", stops)
        holder = holder_of(pauses, [])
        stream = silence_stream(record_of(every, pauses), pauses, holder, 3000)
        assert stream is not None
        # Nobody says for how long pauses were watched: judged as often as was probed.
        assert stream.timeout_s(0.1) == pytest.approx(1.6, abs=0.01)
        watched = [made.pause_window(10.0 * at, node=each) for at in range(360) for each in ("a", "b")]
        known = holder_of(pauses, made.series("truechimer_pause_window", watched, SOURCE))
        stream = silence_stream(record_of(every, pauses), pauses, known, 100_000)
        assert stream is not None
        assert stream.timeout_s(0.1) == pytest.approx(0.1, abs=0.1)
        stream = silence_stream(record_of(every, pauses), pauses, known, 10_000)
        assert stream is not None
        quick = stream.timeout_s(0.1)
        assert quick is not None
        assert 0.7 <= quick <= 1.7
        stream = silence_stream(record_of(every, pauses), pauses, holder, 3000)
        assert stream is not None
        slow = stream.timeout_s(2.0)
        assert slow is not None
        assert slow >= 2.6
    elsewhere = made.columns("truechimer_pause", [made.pause(100.0, 0.6, node="c")])
    stream = silence_stream(record_of(every, elsewhere), elsewhere, holder, 4000)
    assert stream is not None
    quick = stream.timeout_s(0.1)
    assert quick is not None
    assert quick < 1.1


def test_pauses_alone_are_evidence_for_heartbeats() -> None:
    """An imported log of collections, no probe: ten stops of 800 ms in an hour that was watched."""
    windows = made.series(
        "truechimer_pause_window", [made.pause_window(10.0 * at) for at in range(360)], SOURCE
    )
    pauses = made.columns("truechimer_pause", [made.pause(300.0 * at + 100, 0.8) for at in range(10)])
    nothing = made.columns("truechimer_rtt", [])
    stream = silence_stream(record_of(nothing, pauses), pauses, holder_of(pauses, windows), 5000)
    assert stream is not None
    assert stream.timeout_s(1.0) == pytest.approx(1.8)
    assert stream.note is not None
    assert "nobody probed" in (stream.note(1.0) or "")
    # Millions of heartbeats are not made up one by one.
    assert stream.timeout_s(0.0001) == pytest.approx(0.8, abs=0.01)
    unwatched = holder_of(pauses, [])
    assert (
        silence_stream(record_of(nothing, pauses), made.columns("truechimer_pause", []), unwatched, 5000)
        is None
    )


def test_replies_are_judged_at_the_rate_of_the_requests() -> None:
    every = operations(made.columns("truechimer_rtt", hour()))
    stream = reply_stream(every, 2000.0)
    assert stream is not None
    rare, often = stream.timeout_s(100.0), stream.timeout_s(3.0)
    assert rare is not None
    assert often is not None
    assert rare < often
    assert stream.timeout_s(0.01) is None
    assert "cannot vouch" in (stream.refusal(0.01) if stream.refusal else "")
    assert reply_stream(operations(made.columns("truechimer_rtt", [])), 1.0) is None
