"""`skew`: the document, by a store in memory and by a real one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.meshfleet import NOW_S, Fleet, Host
from analyzer.synthetic import NS, ArrayStore

from truechimer.config.model import LimitsConfig
from truechimer.errors import NotEnough, UserError
from truechimer.samples import Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.stores import Store, open_store


def fleet(*changed: tuple[str, str, object], names: str = "abc") -> Fleet:
    """Hosts that all probe all, W right to 1 ms, S hours apart; ``changed``: (host, field, value)."""
    offsets_s = {"a": 3600.0, "b": -9000.0, "c": 50.0, "d": 0.0}
    hosts = [
        Host(
            name,
            offset_s=offsets_s[name],
            wall_s=-offsets_s[name] + 0.0005 * index,
            drift=(index - 1) * 20e-6,
            phase_s=3.0 * index,
            peers=[each for each in names if each != name],
        )
        for index, name in enumerate(names)
    ]
    found = Fleet(hosts, np.random.default_rng(11))
    for name, field, value in changed:
        setattr(found.host(name), field, value)
    return found


def asked(of: Fleet | list[Sample], limits: LimitsConfig | None = None, **options: str) -> dict[str, Any]:
    """The only cluster of the answer."""
    samples = of.samples() if isinstance(of, Fleet) else of
    store: Any = ArrayStore(samples, NOW_S)
    document: dict[str, Any] = answer("skew", options, store, limits)
    assert "nan" not in json.dumps(document, allow_nan=False).lower()
    (cluster,) = document["clusters"]
    return cluster  # type: ignore[no-any-return]


def names(pairs: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(pair["a"], pair["b"]) for pair in pairs}


def test_a_good_cluster_is_described_as_the_contract_says() -> None:
    cluster = asked(fleet())
    assert (cluster["cluster"], cluster["k"], cluster["method"], cluster["at_by"]) == (
        "prod",
        1,
        "all_pairs",
        "UTC",
    )
    assert names(cluster["pairs"]) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert (cluster["of_pairs"], cluster["unproven"], cluster["left_out"]) == (3, [], [])
    widest_s = max(max(-pair["lower_s"], pair["upper_s"]) for pair in cluster["pairs"])
    assert cluster["epsilon_s"] == widest_s
    worst = cluster["pairs"][0]
    assert cluster["worst_pair"] == [worst["a"], worst["b"]]
    assert max(-worst["lower_s"], worst["upper_s"]) <= cluster["epsilon_k_s"]
    assert cluster["epsilon_s"] <= cluster["epsilon_k_s"] < 0.01
    assert cluster["commit_wait_s"] == cluster["lww_gap_s"] == cluster["epsilon_s"]
    assert cluster["commit_wait_k_s"] == cluster["lww_gap_k_s"] == cluster["epsilon_k_s"]
    assert cluster["max_offset"] == {
        "configured_s": 0.25,
        "judgement": "proven_within",
        "judgement_all_true": "proven_within",
    }
    assert cluster["inconsistent"]["certain"] == cluster["inconsistent"]["cycle"] == []
    assert {node["utc_by"] for node in cluster["nodes"]} <= {"ntp", "ntp_and_peers"}
    assert all(node["utc_lower_s"] < node["utc_upper_s"] for node in cluster["nodes"])
    assert 0 < cluster["age_s"] < 15


def test_bounds_are_of_wall_b_less_wall_a_and_of_utc_less_wall() -> None:
    """b is 2 s ahead of the others, which are right."""
    cluster = asked(fleet(("b", "wall_s", 9002.0)), max_offset="1s")
    by_pair = {(pair["a"], pair["b"]): pair for pair in cluster["pairs"]}
    assert by_pair["a", "b"]["lower_s"] > 1.9
    assert by_pair["b", "c"]["upper_s"] < -1.9
    assert by_pair["b", "c"]["upper_k_s"] < -1.9
    by_node = {node["node"]: node for node in cluster["nodes"]}
    assert by_node["b"]["utc_upper_s"] < -1.9
    assert (
        cluster["max_offset"]["judgement"] == cluster["max_offset"]["judgement_all_true"] == "proven_beyond"
    )


def test_the_maximum_offset_is_asked_for_or_configured() -> None:
    limits = LimitsConfig(max_skew_s=0.0001)
    assert asked(fleet(), limits)["max_offset"]["configured_s"] == 0.0001
    assert asked(fleet(), limits)["max_offset"]["judgement"] != "proven_within"
    assert asked(fleet(), limits, max_offset="500ms")["max_offset"] == {
        "configured_s": 0.5,
        "judgement": "proven_within",
        "judgement_all_true": "proven_within",
    }


def test_a_host_without_servers_is_bounded_through_its_peers_and_says_so() -> None:
    cluster = asked(fleet(("b", "ntp", None)))
    by_node = {node["node"]: node for node in cluster["nodes"]}
    assert by_node["b"]["utc_by"] == "peers"
    assert by_node["b"]["utc_upper_s"] - by_node["b"]["utc_lower_s"] < 0.005


def test_a_liar_among_four_is_named_with_the_samples_that_cannot_all_be_true() -> None:
    """Its stamps are 20 ms off: it alone is in every explanation; the others are still bounded without it."""
    cluster = asked(fleet(("c", "stamp_lie_s", 0.02), names="abcd"))
    found = cluster["inconsistent"]
    assert (found["certain"], found["one_of"], found["more_than_k"]) == (["c"], [], False)
    assert "c" in found["cycle"]
    assert 0.015 < found["excess_s"] < 0.02
    assert len(found["evidence"]) == len(found["cycle"])
    total_s = sum(each["at_most_s"] for each in found["evidence"])
    assert total_s == pytest.approx(-found["excess_s"], abs=1e-6)
    for each, origin in zip(found["evidence"], found["cycle"], strict=True):
        assert each["from"] == origin
        assert each["at"].startswith("2026-11-22T20:")
        end = each["upper_s"] if each["node"] == each["from"] or each["to"] == "UTC" else -each["lower_s"]
        assert each["at_most_s"] == pytest.approx(end + each["aged_s"], abs=1e-6)
    assert cluster["epsilon_s"] is None
    assert "contradicts" in cluster["why_unproven"]
    assert cluster["epsilon_k_s"] < 0.01
    assert names(cluster["pairs"]) == {("a", "b"), ("a", "d"), ("b", "d")}
    assert [(node["node"], node["why"]) for node in cluster["left_out"]] == [("c", "contradicted")]
    assert cluster["max_offset"]["judgement"] == "unproven"


def test_a_liar_by_far_is_left_out_and_nothing_rests_on_it() -> None:
    """By 40 s: as if its virtual machine had been stopped so long, unseen."""
    cluster = asked(fleet(("c", "stamp_lie_s", 40.0), names="abcd"))
    found = cluster["inconsistent"]
    assert (found["certain"], found["one_of"]) == (["c"], [])
    assert 35 < found["excess_s"] <= 40
    total_s = sum(each["at_most_s"] for each in found["evidence"])
    assert total_s == pytest.approx(-found["excess_s"], abs=1e-6)
    assert [(node["node"], node["why"]) for node in cluster["left_out"]] == [("c", "contradicted")]
    assert cluster["epsilon_s"] is cluster["commit_wait_s"] is None
    assert cluster["epsilon_k_s"] < 0.01
    assert names(cluster["pairs"]) == {("a", "b"), ("a", "d"), ("b", "d")}
    assert cluster["max_offset"]["judgement"] == "unproven"


def test_of_two_that_contradict_each_other_neither_is_named() -> None:
    """Both have servers, and their exchange contradicts them."""
    cluster = asked(fleet(("b", "stamp_lie_s", 0.02), names="ab"))
    assert cluster["inconsistent"]["certain"] == []
    assert cluster["inconsistent"]["one_of"] == ["a", "b"]
    assert cluster["epsilon_s"] is cluster["epsilon_k_s"] is None
    assert cluster["of_unproven"] == 1


def test_a_silent_host_is_left_out_by_name_and_nothing_is_proven_of_the_cluster() -> None:
    cluster = asked(fleet(("b", "ends_at_s", 20.0)))
    assert [(node["node"], node["why"]) for node in cluster["left_out"]] == [("b", "silent")]
    assert 60 < cluster["left_out"][0]["last_told_s"] < 90
    assert names(cluster["pairs"]) == {("a", "c")}
    assert cluster["epsilon_s"] < 0.01
    assert cluster["max_offset"]["judgement"] == "unproven"


def test_a_peer_that_sends_nothing_is_known_by_the_probes_of_others() -> None:
    """It still helps to bound those: a and c only reach each other through it."""
    both = fleet(("a", "peers", ["b"]), ("c", "peers", ["b"]), ("a", "ntp", None), ("c", "ntp", None))
    cluster = asked([sample for sample in both.samples() if sample.tags["node"] != "b"])
    assert [(node["node"], node["why"]) for node in cluster["left_out"]] == [("b", "silent")]
    assert "peers' probes" in cluster["left_out"][0]["missing"]
    assert cluster["left_out"][0]["last_heard_s"] is None
    assert names(cluster["pairs"]) == {("a", "c")}
    assert cluster["at_by"] in "ac"


def test_a_node_that_nothing_connects_is_left_out_by_name_and_nothing_is_proven_within() -> None:
    """Its steady clock has no place at the instant: what is said of its wall clock would be of another."""
    both = fleet(("a", "peers", ["b"]), ("b", "peers", []), ("c", "peers", []), ("c", "ntp", None))
    cluster = asked(both)
    assert names(cluster["pairs"]) == {("a", "b")}
    ((node, why, missing),) = [(one["node"], one["why"], one["missing"]) for one in cluster["left_out"]]
    assert (node, why) == ("c", "apart")
    assert "neither exchanges nor bounds of UTC" in missing
    assert cluster["max_offset"]["judgement"] == "unproven"


def test_what_is_proven_only_if_everybody_is_right_has_no_second_figure() -> None:
    """a and c have no servers and only b between them."""
    both = fleet(("a", "peers", ["b"]), ("c", "peers", ["b"]), ("a", "ntp", None), ("c", "ntp", None))
    samples = both.samples()
    cluster = asked(samples)
    pair = next(each for each in cluster["pairs"] if (each["a"], each["b"]) == ("a", "c"))
    assert pair["upper_s"] is not None
    assert pair["upper_k_s"] is None
    assert cluster["epsilon_s"] is not None
    assert cluster["epsilon_k_s"] is None
    assert "but through b" in cluster["why_k_unproven"]
    assert cluster["max_offset"]["judgement"] == "unproven"
    assert cluster["max_offset"]["judgement_all_true"] == "proven_within"
    assert asked(samples, k="0")["epsilon_k_s"] == cluster["epsilon_s"]


def test_one_node_is_answered_by_its_pairs_of_the_whole_cluster() -> None:
    whole, one = asked(fleet()), asked(fleet(), node="b")
    assert one["epsilon_s"] == whole["epsilon_s"]
    assert names(one["pairs"]) == {("a", "b"), ("b", "c")}
    assert [node["node"] for node in one["nodes"]] == ["b"]


def test_a_long_list_of_pairs_is_cut_and_says_of_how_many() -> None:
    cluster = asked(fleet(), pairs="1")
    assert len(cluster["pairs"]) == 1
    assert cluster["of_pairs"] == 3
    assert sorted(names(cluster["pairs"]).pop()) == cluster["worst_pair"]


def test_without_any_exchange_the_answer_says_what_is_missing() -> None:
    alone = [sample for sample in fleet().samples() if sample.measurement != "truechimer_rtt"]
    alone.append(made.probe(80.0, 0.001))
    with pytest.raises(NotEnough, match="no agent has exchanged packets") as refused:
        asked(alone)
    assert "[mesh]" in str(refused.value.hint)


@pytest.mark.parametrize(
    "options",
    [{"k": "3"}, {"k": "-1"}, {"pairs": "-1"}, {"pairs": "²"}, {"max_offset": "1"}, {"max_skew": "1s"}],
)
def test_wrong_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(UserError):
        asked(fleet(), **options)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"embedded:{tmp_path}/store")
    yield opened
    opened.close()


def stored(store: Store, of: Fleet) -> None:
    """As if the fleet's last moment were now."""
    by_ns = store.now_ns() - made.T0 - round(NOW_S * NS)
    made.stored(store, [_moved(sample, by_ns) for sample in of.samples()])


def _moved(sample: Sample, by_ns: int) -> Sample:
    """Its stamp and S alike, so that S keeps its distance from UTC."""
    fields = {**sample.fields, "steady_seconds": sample.fields["steady_seconds"] + by_ns / NS}
    return Sample(sample.measurement, sample.tags, fields, sample.time_ns + by_ns)


def test_a_host_whose_wall_clock_is_an_hour_late_and_unbounded_is_found_in_a_real_store(store: Store) -> None:
    """Its stamps are an hour old; it is heard now. By its peers it is proven to be 3600 s late."""
    late = fleet(("b", "wall_s", 9000.0 - 3600.0), ("b", "ntp", None))
    stored(store, late)
    document: dict[str, Any] = answer("skew", {}, store)
    (cluster,) = document["clusters"]
    assert cluster["left_out"] == []
    by_node = {node["node"]: node for node in cluster["nodes"]}
    assert by_node["b"]["utc_by"] == "peers"
    assert 3599.99 < by_node["b"]["utc_lower_s"] < by_node["b"]["utc_upper_s"] < 3600.01
    assert cluster["max_offset"]["judgement"] == "proven_beyond"


def test_a_past_instant_is_answered_from_what_was_known_of_it(store: Store) -> None:
    """Half a minute before the newest sample: the instant lies before it."""
    stored(store, fleet())
    asked_s = store.now_ns() / NS - 30
    options = {"from": f"{asked_s - 600:.3f}", "to": f"{asked_s:.3f}"}
    document: dict[str, Any] = answer("skew", options, store)
    (cluster,) = document["clusters"]
    assert cluster["of_pairs"] == 3
    assert cluster["left_out"] == []
    assert 0 < cluster["age_s"] < 15
