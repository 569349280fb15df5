"""`stability`: which records of a node it takes, what ends them, what it refuses, and what never leaks in."""

import json
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore

from truechimer.samples import Sample
from truechimer_analyzer.answers import answer

RATE = 12e-6


def clock(at_s: float, wall_s: float, *, rate: float = RATE, node: str = "a", epoch: int = 1) -> Sample:
    """W − S at the end of an interval, and W's rate in it."""
    fields = {
        "wall_minus_steady_seconds": wall_s,
        "wall_rate_ppm": rate * 1e6,
        "read_width_seconds": 2e-7,
        "steady_seconds": at_s,
        "epoch": epoch,
    }
    return made.sample("truechimer_clock", at_s, fields, node)


def bound(at_s: float, utc_s: float, wall_s: float, *, status: int = 1, node: str = "a") -> Sample:
    """UTC − S within 100 µs while W − S is ``wall_s``."""
    offset_s = utc_s - wall_s
    return made.bound(
        at_s, offset_s - 1e-4, offset_s + 1e-4, node, status=status, wall_minus_steady_seconds=wall_s
    )


def host(seconds: int = 3600, node: str = "a", seed: int = 1) -> list[Sample]:
    """An oscillator 12 ppm slow with white noise of 1 µs, W steered on UTC with 2 µs."""
    rng = np.random.default_rng(seed)
    samples = []
    before = 0.0
    for at in range(0, seconds, 10):
        utc_s = RATE * at + rng.normal(0, 1e-6)
        wall_s = utc_s + rng.normal(0, 2e-6)
        samples += [
            clock(float(at), wall_s, rate=(wall_s - before) / 10, node=node),
            bound(at + 0.5, utc_s, wall_s, node=node),
        ]
        before = wall_s
    return samples


def records(samples: list[Sample], now_s: float = 3600, **options: str) -> dict[str, dict[str, Any]]:
    """The records of the first node by name."""
    document: dict[str, Any] = answer("stability", options, ArrayStore(samples, now_s))  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    return {each["series"]: each for each in document["nodes"][0]["series"]}


def values(record: dict[str, Any], kind: str) -> dict[float, float]:
    return {each["tau_s"]: each["value"] for each in record[kind]}


def test_each_record_has_its_deviations_with_what_they_rest_on() -> None:
    found = records(host())
    assert list(found) == ["wall_minus_steady", "utc_minus_steady", "utc_minus_wall"]
    for record in found.values():
        assert (record["points"], record["stretches"], record["breaks"]) == (360, 1, {})
        assert (record["span_s"], record["longest_s"]) == (3590, 3590)
        assert record["used_share"] == pytest.approx(3590 / 3600)
        assert record["refused"] is None
        assert [each["tau_s"] for each in record["adev"]][:4] == [10, 20, 30, 60]
        assert record["adev"][0]["terms"] == 358
        for each in (*record["adev"], *record["tdev"], *record["mtie"]):
            assert 0 <= each["lower"] <= each["value"] <= each["upper"]
    assert found["wall_minus_steady"]["half_width_s"] == pytest.approx(1e-7)
    assert found["utc_minus_wall"]["half_width_s"] == pytest.approx(1e-4)


def test_what_each_record_is_shows_in_its_mtie() -> None:
    """An oscillator left alone strays 12 µs a second; the clock that is steered on UTC does not."""
    found = {name: values(record, "mtie") for name, record in records(host()).items()}
    assert found["utc_minus_steady"][600] == pytest.approx(RATE * 600, rel=0.01)
    assert found["wall_minus_steady"][600] == pytest.approx(RATE * 600, rel=0.01)
    assert found["utc_minus_wall"][600] < 2e-5
    adev = {name: values(record, "adev") for name, record in records(host()).items()}
    # White noise of 1 µs and, of W, of √5 µs: √3 · σ / τ.
    assert adev["utc_minus_steady"][10] == pytest.approx(3**0.5 * 1e-7, rel=0.15)
    assert adev["wall_minus_steady"][10] == pytest.approx(15**0.5 * 1e-7, rel=0.15)


def stepped(samples: list[Sample], at_s: float, size_s: float) -> list[Sample]:
    """The same host when W was stepped: W − S moves, the bound of UTC − W moves back, UTC − S does not."""
    moved = []
    for each in samples:
        fields = dict(each.fields)
        if fields["steady_seconds"] >= at_s and "wall_minus_steady_seconds" in fields:
            fields["wall_minus_steady_seconds"] += size_s
            for name in ("lower_seconds", "upper_seconds"):
                if name in fields:
                    fields[name] -= size_s
        moved.append(Sample(each.measurement, each.tags, fields, each.time_ns))
    return moved


@pytest.mark.parametrize("at_s", [1803.2, 1800.0, 1809.9])
@pytest.mark.parametrize("told", [True, False])
def test_a_step_of_the_wall_clock_never_leaks_in(at_s: float, told: bool) -> None:
    """Half a second: also where its event was lost, because the rate leaves steps out."""
    calm = records(host())
    samples = stepped(host(), at_s, -0.5) + ([made.event(at_s, "step", -0.5)] if told else [])
    found = records(samples)
    for name in ("wall_minus_steady", "utc_minus_wall"):
        assert found[name]["breaks"] == {"step": 1}, name
        assert found[name]["stretches"] == 2
        for kind in ("adev", "tdev"):
            assert values(found[name], kind)[60] == pytest.approx(values(calm[name], kind)[60], rel=0.05)
        assert values(found[name], "mtie")[600] <= values(calm[name], "mtie")[600] * (1 + 1e-9)
    assert found["utc_minus_steady"]["stretches"] == 1
    assert values(found["utc_minus_steady"], "mtie") == pytest.approx(
        values(calm["utc_minus_steady"], "mtie"), rel=1e-6
    )


def test_a_step_back_of_half_a_second_would_show_without_the_cut() -> None:
    """The test above can fail: the same jump as a slew that nobody stepped is told in full."""
    samples = []
    for each in stepped(host(), 1800.0, -0.5):
        fields = dict(each.fields)
        if each.measurement == "truechimer_clock" and fields["steady_seconds"] == 1800.0:
            fields["wall_rate_ppm"] -= 0.05 * 1e6
        samples.append(Sample(each.measurement, each.tags, fields, each.time_ns))
    found = records(samples)["wall_minus_steady"]
    assert found["breaks"] == {}
    assert values(found, "mtie")[600] > 0.49


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("suspend", "epoch"),
        ("clocksource", "epoch"),
        ("vm_restore", "epoch"),
        ("leap", "epoch"),
        ("agent_start", "restart"),
    ],
)
def test_what_ends_an_epoch_or_the_watch_ends_every_record(kind: str, why: str) -> None:
    for name, record in records([*host(), made.event(1805.2, kind, 0.0)]).items():
        assert record["breaks"] == {why: 1}, name


def test_a_slew_is_the_clocks_own_way() -> None:
    for record in records([*host(), made.event(1805.2, "slew", 0.001)]).values():
        assert record["stretches"] == 1


def test_a_leap_second_of_utc_ends_what_is_held_against_utc() -> None:
    """UTC − S jumps by 1 s, which no oscillator does, and no event tells of it."""
    samples = []
    for each in host():
        fields = dict(each.fields)
        if each.measurement == "truechimer_bound" and fields["steady_seconds"] > 1800:
            fields |= {name: fields[name] - 1 for name in ("lower_seconds", "upper_seconds")}
        samples.append(Sample(each.measurement, each.tags, fields, each.time_ns))
    found = records(samples)
    for name in ("utc_minus_steady", "utc_minus_wall"):
        assert found[name]["breaks"] == {"epoch": 1}
        assert values(found[name], "mtie")[600] < 0.01


def test_bounds_that_no_server_stood_for_are_no_record() -> None:
    """Holdover carries the last rate on: its middle is no measurement."""
    samples = [each for each in host() if each.measurement == "truechimer_clock"]
    samples += [
        bound(at + 0.5, RATE * at, RATE * at, status=2 if at > 1000 else 1) for at in range(0, 3600, 10)
    ]
    found = records(samples)
    assert found["wall_minus_steady"]["points"] == 360
    assert found["utc_minus_steady"]["points"] == 101


def test_bounds_that_have_not_settled_are_no_record() -> None:
    """The first minute's are 4 ms wide where the others are 200 µs: their middles lie anywhere."""
    samples = []
    for each in host():
        fields = dict(each.fields)
        if each.measurement == "truechimer_bound" and fields["steady_seconds"] < 60:
            fields["upper_seconds"] += 4e-3
        samples.append(Sample(each.measurement, each.tags, fields, each.time_ns))
    found = records(samples)
    assert found["utc_minus_wall"]["points"] == 354
    assert values(found["utc_minus_wall"], "mtie")[600] < 2e-5


def test_too_little_is_refused_with_what_is_missing() -> None:
    found = records(host(200), 210, since="1h")
    for record in found.values():
        assert (record["adev"], record["tdev"], record["mtie"]) == ([], [], [])
        assert record["refused"]["needed_s"] == pytest.approx(110)
        assert "190 s" in record["refused"]["reason"]
    unheard = records([made.sample("truechimer_kernel", 1, {"status": 0})], 210)
    assert unheard["wall_minus_steady"]["refused"] == {
        "reason": "no clock was read in this window",
        "needed_s": 300.0,
    }
    assert "NTP servers" in unheard["utc_minus_wall"]["refused"]["reason"]


def test_waiting_does_not_help_a_short_or_a_past_window() -> None:
    short = records(host(), 3600, since="4m")["wall_minus_steady"]["refused"]
    assert short["needed_s"] is None
    assert "longer" in short["reason"]
    past = records(host(200), 3600, to=str(made.T0 // made.NS + 1000))["wall_minus_steady"]["refused"]
    assert past["needed_s"] is None


def test_nodes_are_asked_for_by_name_and_cluster_and_told_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven of the forty are read at once; one that said nothing of its clock is refused by name."""
    monkeypatch.setattr("truechimer_analyzer.answers.stability._ROWS_AT_ONCE", 7 * 360)
    samples = [each for number in range(40) for each in host(400, f"n{number:02}", number)]
    samples.append(made.sample("truechimer_kernel", 1, {"status": 0}, "z"))
    store: Any = ArrayStore(samples, 400)
    document: dict[str, Any] = answer("stability", {}, store)
    assert [node["node"] for node in document["nodes"]] == [*(f"n{number:02}" for number in range(40)), "z"]
    assert all(node["series"][0]["adev"] for node in document["nodes"][:40])
    assert document["nodes"][40]["series"][0]["refused"]
    (one,) = answer("stability", {"node": "n07", "cluster": "prod"}, store)["nodes"]  # type: ignore[misc]
    assert one == document["nodes"][7]
