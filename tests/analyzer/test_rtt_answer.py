"""`rtt`: percentiles of replies only where supported; everything else counted apart."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.synthetic import ArrayStore
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from truechimer.codes import ProbeOutcome
from truechimer.errors import UserError
from truechimer.samples import Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.rtt import curve, losses, percentiles


def paths(samples: list[Sample], **options: str) -> list[dict[str, Any]]:
    document: dict[str, Any] = answer("rtt", options, ArrayStore(samples, 3600))  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    return document["paths"]


def test_no_probes_are_no_paths() -> None:
    assert paths([]) == []


def test_outcomes_are_counted_apart_and_no_loss_is_in_a_percentile() -> None:
    samples = [made.probe(float(i), 0.001 * (i + 1)) for i in range(10)]
    samples += [made.probe(20.0 + o, None, outcome=o) for o in ProbeOutcome if o]
    (path,) = paths(samples)
    assert (path["node"], path["peer"], path["via"]) == ("a", "b", "tcp")
    assert (path["count"], path["replies"]) == (18, 10)
    assert path["lost"] == path["refused"] == path["host_unreachable"] == path["own_stall"] == 1
    assert (path["min_s"], path["max_s"]) == (0.001, 0.01)
    assert (path["p50_s"], path["p90_s"]) == pytest.approx((0.005, 0.009))
    assert path["p99_s"] is None
    assert path["p999_s"] is None
    assert path["lost_forward"] is None
    assert path["span_s"] == pytest.approx(28)


def test_a_path_that_only_lost_has_no_delay() -> None:
    (path,) = paths([made.probe(float(i), None) for i in range(5)])
    assert (path["lost"], path["min_s"], path["p50_s"], path["max_s"]) == (5, None, None, None)


def test_losses_by_direction_come_from_the_path_counters() -> None:
    counters = {"sent": 10, "received": 8, "lost_forward": 1, "lost_backward": 1}
    samples = [made.probe(1.0, 0.001, via="stamp"), made.probe(1.0, 0.001)]
    samples += [made.sample("truechimer_path", float(at), counters, peer="b") for at in (10, 20)]
    by_via = {path["via"]: path for path in paths(samples)}
    assert (by_via["stamp"]["lost_forward"], by_via["stamp"]["lost_backward"]) == (2, 2)
    assert by_via["tcp"]["lost_forward"] is None


def test_a_direction_that_no_row_tells_is_unknown_and_not_without_loss() -> None:
    untold = made.sample("truechimer_path", 5.0, {"sent": 10, "received": 9}, peer="b")
    (path,) = paths([untold, made.probe(1.0, 0.001, via="stamp")])
    assert (path["lost_forward"], path["lost_backward"]) == (None, None)


@given(st.lists(st.floats(0.0001, 10), min_size=1, max_size=3000))
def test_a_percentile_is_an_observed_value_that_so_many_do_not_exceed(values: list[float]) -> None:
    ordered = np.sort(values)
    found = percentiles(ordered)
    for name, share, least in (("p50_s", 0.5, 2), ("p90_s", 0.9, 10), ("p99_s", 0.99, 100)):
        value = found[name]
        assert (value is None) == (len(values) < least)
        if value is not None:
            assert value in values
            assert np.count_nonzero(ordered <= value) >= share * len(values) - 1e-6
    assert percentiles(np.array(values), ordered=False) == found


@given(st.lists(st.floats(0.0001, 10), min_size=1, max_size=500))
def test_the_curve_is_short_falls_and_ends_at_the_longest(values: list[float]) -> None:
    ordered = np.sort(values)
    points = curve(ordered)
    assert len(points) <= 60
    assert points[-1]["rtt_s"] == ordered[-1]
    assert all(a["exceedance"] > b["exceedance"] for a, b in itertools.pairwise(points))
    for point in points[:-1]:
        assert np.mean(ordered > point["rtt_s"]) <= point["exceedance"] + 1e-9


def test_the_curve_is_given_when_asked_for() -> None:
    samples = [made.probe(float(i), 0.001 * (i + 1)) for i in range(100)]
    assert "curve" not in paths(samples)[0]
    assert len(paths(samples, histogram="1")[0]["curve"]) <= 60


def test_percentiles_of_what_the_reflector_took_stand_beside_the_round_trips() -> None:
    fields = {"outcome": 0, "rtt_seconds": 0.001}
    samples = [
        made.sample(
            "truechimer_rtt", float(i), fields | {"reflector_seconds": 1e-5 * (i + 1)}, peer="b", via="stamp"
        )
        for i in range(100)
    ]
    (path,) = paths(samples)
    assert (path["reflector_p50_s"], path["reflector_p99_s"], path["reflector_max_s"]) == pytest.approx(
        (5e-4, 9.9e-4, 1e-3)
    )
    (path,) = paths([made.probe(1.0, 0.001)])
    assert path["reflector_max_s"] is None


def test_a_dscp_class_is_a_path_of_its_own() -> None:
    samples = [made.probe(float(i), 0.001, via="stamp") for i in range(3)]
    fast = {"outcome": 0, "rtt_seconds": 0.0005, "dscp": 46}
    samples += [made.sample("truechimer_rtt", i + 0.5, fast, peer="b", via="stamp") for i in range(2)]
    counters = {"sent": 5, "received": 4, "lost_forward": 1, "lost_backward": 0}
    samples.append(made.sample("truechimer_path", 9.0, counters | {"dscp": 46}, peer="b"))
    found = {path["dscp"]: path for path in paths(samples)}
    assert {dscp: path["count"] for dscp, path in found.items()} == {0: 3, 46: 2}
    assert (found[0]["lost_forward"], found[46]["lost_forward"]) == (None, 1)


def test_the_kernels_estimates_are_a_path_of_their_own() -> None:
    found = {
        path["via"]: path for path in paths([made.probe(1.0, 0.5, via="kernel"), made.probe(1.0, 0.001)])
    }
    assert (found["kernel"]["max_s"], found["tcp"]["max_s"]) == (0.5, 0.001)


def test_via_and_peer_choose_paths() -> None:
    samples = [made.probe(1.0, 0.001, peer=peer, via=via) for peer in ("b", "c") for via in ("tcp", "icmp")]
    assert [path["peer"] for path in paths(samples, via="icmp")] == ["b", "c"]
    assert [path["via"] for path in paths(samples, peer="c")] == ["icmp", "tcp"]
    with pytest.raises(UserError, match="udp"):
        paths(samples, via="udp")


def test_the_share_lost_has_an_upper_limit_that_its_exposure_allows() -> None:
    """No loss in 59 probes leaves 5 % of chance at 4.95 %; a path that lost all may lose all."""
    (path,) = paths([made.probe(float(i), 0.001) for i in range(59)])
    assert (path["loss_ratio"], path["loss_exposure"]) == (0.0, 59)
    assert path["loss_upper"] == pytest.approx(1 - 0.05 ** (1 / 59))
    (path,) = paths([made.probe(float(i), None) for i in range(3)])
    assert (path["loss_ratio"], path["loss_upper"]) == (1.0, 1.0)
    (path,) = paths([made.probe(1.0, None, outcome=int(ProbeOutcome.REFUSED))])
    assert (path["loss_ratio"], path["loss_upper"], path["loss_exposure"]) == (None, None, 0)


@given(st.integers(0, 40), st.integers(1, 400))
def test_the_limit_is_that_of_clopper_and_pearson(lost: int, more: int) -> None:
    limit = losses.upper(lost, lost + more)
    assert limit is not None
    assert stats.binom.cdf(lost, lost + more, limit) == pytest.approx(0.05, rel=1e-6)


def test_hours_are_those_of_utc_and_only_those_that_were_probed() -> None:
    """T0 is a full hour: 0 s to 3600 s is the first, two hours later there was nothing."""
    samples = [made.probe(float(at), 0.001 if at < 3600 else 0.004, via="stamp") for at in range(0, 7200, 20)]
    samples.append(made.probe(10_900.0, None, via="stamp"))
    counters = {"sent": 10, "received": 8, "lost_forward": 2, "lost_backward": 0}
    samples.append(made.sample("truechimer_path", 10_905.0, counters, peer="b"))
    document: dict[str, Any] = answer("rtt", {"by": "hour", "since": "4h"}, ArrayStore(samples, 11_000))  # type: ignore[arg-type]
    (path,) = document["paths"]
    assert [hour["from"][11:16] for hour in path["hours"]] == ["20:00", "21:00", "23:00"]
    first, second, last = path["hours"]
    assert (first["count"], first["p50_s"], first["p99_s"], first["max_s"]) == (180, 0.001, 0.001, 0.001)
    assert second["p50_s"] == 0.004
    assert (last["lost"], last["lost_forward"], last["max_s"], last["loss_upper"]) == (1, 2, None, 1.0)
    assert first["lost_forward"] is None
    assert "hours" not in paths(samples)[0]
    with pytest.raises(UserError, match="day"):
        paths(samples, by="day")


def test_what_an_earlier_session_left_open_stays_unknown() -> None:
    rows = [(10, 1, 0), (20, 1, 3), (30, 2, 0), (40, 2, 5)]
    samples = [made.probe(1.0, 0.001, via="stamp")]
    for at, session, level in rows:
        counters = {"sent": 10, "received": 5, "lost_forward": 0, "lost_backward": 0, "unknown": 1}
        samples.append(
            made.sample(
                "truechimer_path", float(at), counters | {"session": session, "undetermined": level}, peer="b"
            )
        )
    (path,) = paths(samples)
    assert (path["lost_unknown"], path["lost_undetermined"]) == (4 + 3, 5)
    assert path["loss_forward_ratio"] == 0
    assert path["loss_forward_upper"] == losses.upper(12, 32)
