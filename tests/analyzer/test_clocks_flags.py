"""Flags over time: raised after a while, kept until the opposite is proven, never flapping at a limit."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from analyzer import synthetic as made
from analyzer.synthetic import NS, T0, ArrayStore

from truechimer.codes import BoundReason, BoundStatus
from truechimer.config.model import LimitsConfig
from truechimer.samples import Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.clocks.flagrules import RULES
from truechimer_analyzer.window import iso

LIMITS = LimitsConfig(max_offset_s=0.05, max_frequency_ppm=100)


def node(
    samples: list[Sample], now_s: float, limits: LimitsConfig = LIMITS, **options: str
) -> dict[str, Any]:
    """The answer about the one node when nothing later than ``now_s`` has arrived."""
    known = [each for each in samples if each.time_ns <= T0 + round(now_s * NS)]
    (found,) = answer("clocks", options, ArrayStore(known, now_s), limits)["nodes"]  # type: ignore[arg-type, misc]
    return found  # type: ignore[no-any-return]


def flags(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {flag["flag"]: flag for flag in found["flags"]}


def pending(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {flag["flag"]: flag for flag in found["pending"]}


def at(second: float) -> str:
    return iso(T0 + round(second * NS))


def bounds(*spans: tuple[int, int, float]) -> list[Sample]:
    """A bound of ±1 ms around an offset every 10 s of (from, to, offset_s)."""
    return [
        made.bound(float(second), offset_s - 0.001, offset_s + 0.001)
        for begin, end, offset_s in spans
        for second in range(begin, end, 10)
    ]


def unknown(begin: int, end: int, reason: BoundReason, step: int = 10) -> list[Sample]:
    """Bounds that say nothing, for that reason."""
    return [
        made.bound(float(second), None, None, status=int(BoundStatus.UNKNOWN), reason=int(reason))
        for second in range(begin, end, step)
    ]


def rates(begin: int, end: int, ppm: float) -> list[Sample]:
    return [made.clock(float(second), ppm) for second in range(begin, end + 1, 10)]


# Limits


def test_a_clock_that_stands_at_its_limit_is_flagged_once() -> None:
    """It goes beyond and back by a little every 10 s: one flag, since the first time."""
    samples = bounds((0, 100, 0.03))
    samples += [
        made.bound(float(second), 0.045, 0.049) if second % 20 else made.bound(float(second), 0.051, 0.055)
        for second in range(100, 400, 10)
    ]
    seen = [flags(node(samples, float(second) + 1)) for second in range(90, 400, 10)]
    assert ["offset" in each for each in seen] == [False] + [True] * 30
    assert {each["offset"]["since"] for each in seen[1:]} == {at(100)}
    assert seen[-1]["offset"]["evidence"]["clears_within_s"] == pytest.approx(0.04)


def test_an_offset_is_back_only_when_it_is_proven_within_the_lower_limit() -> None:
    samples = bounds((0, 50, 0.06), (50, 100, 0.045), (100, 200, 0.03))
    assert "offset" in flags(node(samples, 99))
    assert "offset" not in flags(node(samples, 101))


def test_a_node_whose_bound_is_lost_keeps_the_offset_that_was_proven() -> None:
    samples = [*bounds((0, 100, 0.06)), *unknown(100, 200, BoundReason.NO_REPLY)]
    assert flags(node(samples, 195))["offset"]["since"] == at(0)


def test_an_offset_may_be_asked_to_last() -> None:
    limits = dataclasses.replace(LIMITS, offset_for_s=60.0)
    samples = bounds((0, 100, 0.0), (100, 300, 0.06))
    waiting = node(samples, 130, limits)
    assert (waiting["state"], waiting["judgement"]) == ("ok", "proven_beyond")
    assert pending(waiting)["offset"]["since"] == at(100)
    assert pending(waiting)["offset"]["due"] == at(160)
    raised = node(samples, 165, limits)
    assert (raised["state"], raised["pending"]) == ("offset", [])


def test_an_hour_of_the_past_counts_whatever_window_is_asked_for() -> None:
    samples = bounds((0, 100, 0.06), (100, 2000, 0.045))
    for since in ("1m", "10m", "2h"):
        assert flags(node(samples, 1990, since=since))["offset"]["since"] == at(0)


def test_drift_at_its_limit_is_flagged_once() -> None:
    """W runs 95 or 104 ppm slow in turn, then 70; its offset may be anything."""
    limits = dataclasses.replace(LIMITS, max_offset_s=1.0)
    samples = [*bounds((0, 700, 0.0)), *rates(10, 200, -104 + 12)]
    samples += [made.clock(float(s), (-95 if s // 50 % 2 else -104) + 12) for s in range(210, 601, 10)]
    samples += rates(610, 700, -70 + 12)
    seen = [flags(node(samples, s + 1.0, limits))["drifting"] for s in range(40, 601, 10)]
    assert {each["since"] for each in seen} == {at(10)}
    assert "drifting" not in flags(node(samples, 621, limits))


# Trends


def test_a_clock_that_is_certain_to_reach_its_limit_drifts() -> None:
    """30 ppm reach 50 ms in half an hour; 8 ppm do not within an hour."""
    samples = [*bounds((0, 400, 0.001)), *rates(10, 400, 12 - 30)]
    assert "drifting" not in flags(node(samples, 100))
    assert "drifting" in pending(node(samples, 100))
    found = flags(node(samples, 200))["drifting"]["evidence"]
    assert found["horizon_s"] == 3600
    assert found["limit_s"] == 0.05
    assert found["reaches_limit_within_s"] == pytest.approx((0.05 - 0.000) / 29e-6, rel=0.1)
    slow = [*bounds((0, 400, 0.001)), *rates(10, 400, 12 - 8)]
    assert node(slow, 390)["pending"] == flags(node(slow, 390)).get("drifting", []) == []


@pytest.mark.parametrize("offset_s", [0.03, -0.03])
def test_a_clock_that_runs_towards_utc_is_being_put_right_and_does_not_drift(offset_s: float) -> None:
    away_ppm = -400 if offset_s < 0 else 400
    samples = [*bounds((0, 200, offset_s)), *rates(10, 200, 12 + away_ppm)]
    assert not {"drifting"} & {*flags(node(samples, 195)), *pending(node(samples, 195))}
    from_it = [*bounds((0, 200, offset_s)), *rates(10, 200, 12 - away_ppm)]
    assert "drifting" in flags(node(from_it, 195))


# What a bound says of itself


@pytest.mark.parametrize("reason", [BoundReason.LEAP, BoundReason.CHECKING, BoundReason.STARTING])
def test_what_passes_by_itself_is_pending_and_never_raised_for_a_second(reason: BoundReason) -> None:
    samples = [*bounds((0, 100, 0.0)), *unknown(100, 115, reason, step=1), *bounds((115, 200, 0.0))]
    seen = [node(samples, float(second)) for second in range(95, 150)]
    assert [each["state"] for each in seen] == ["ok"] * len(seen)
    waiting = node(samples, 110)
    assert (waiting["status"], waiting["judgement"]) == ("unknown", "unproven")
    assert pending(waiting)["unsynchronised"]["due"] == at(130)
    assert pending(waiting)["unsynchronised"]["evidence"]["reason"] == reason.name.lower()
    assert node(samples, 116)["pending"] == []


def test_what_should_have_passed_is_raised() -> None:
    samples = [*bounds((0, 100, 0.0)), *unknown(100, 200, BoundReason.CHECKING)]
    found = node(samples, 131)
    assert found["state"] == "unsynchronised"
    assert flags(found)["unsynchronised"]["since"] == at(100)


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        (BoundStatus.HOLDOVER, BoundReason.SOURCES_BLOCKED, "sources_blocked"),
        (BoundStatus.UNKNOWN, BoundReason.NO_MAJORITY, "no_majority"),
    ],
)
def test_what_servers_do_is_raised_at_once_and_dropped_when_it_stays_away(
    status: BoundStatus, reason: BoundReason, state: str
) -> None:
    samples = bounds((0, 100, 0.0))
    samples.append(made.bound(103.0, -0.001, 0.001, status=int(status), reason=int(reason)))
    samples += bounds((110, 120, 0.0), (130, 200, 0.0))
    samples.append(made.bound(125.0, -0.001, 0.001, status=int(status), reason=int(reason)))
    assert node(samples, 103)["state"] == state
    assert flags(node(samples, 103))[state]["clears_at"] is None
    kept = node(samples, 112)
    assert (kept["state"], kept["status"]) == (state, "synchronized")
    assert flags(kept)[state]["clears_at"] == at(140)
    assert flags(kept)[state]["evidence"]["reason"] == reason.name.lower()
    again = flags(node(samples, 159))[state]
    assert (again["since"], again["clears_at"]) == (at(103), at(160))
    assert node(samples, 160)["state"] == "ok"


def test_no_bound_is_told_at_once_and_the_next_bound_ends_it() -> None:
    samples = [*bounds((0, 100, 0.0)), *unknown(100, 120, BoundReason.NO_REPLY), *bounds((120, 200, 0.0))]
    assert [node(samples, second)["state"] for second in (95, 101, 119, 121)] == [
        "ok",
        "unsynchronised",
        "unsynchronised",
        "ok",
    ]


def test_a_node_that_was_never_better_is_not_waited_for() -> None:
    """It may be starting: but nothing is known of its clock, and unknown is not healthy."""
    samples = [*unknown(0, 10, BoundReason.STARTING, step=1), *bounds((10, 100, 0.0))]
    assert node(samples, 3)["state"] == "unsynchronised"
    assert node(samples, 11)["state"] == "ok"


def test_blocked_sources_are_named_with_the_bounds_growth() -> None:
    blocked = made.bound(
        300, -0.001, 0.001, status=int(BoundStatus.HOLDOVER), reason=int(BoundReason.SOURCES_BLOCKED)
    )
    lost = [made.server(299, "a", outcome=1, verdict=0), made.server(299, "b", outcome=2, verdict=0)]
    evidence = flags(node([*bounds((0, 300, 0.0)), blocked, *lost, made.server(298, "c")], 301))
    assert evidence["sources_blocked"]["evidence"]["silent"] == {"a": "lost", "b": "refused"}
    assert evidence["sources_blocked"]["evidence"]["growth_ppm"] == 2.0


def test_a_two_two_split_names_the_camps() -> None:
    """By what each server's late replies say together: a's single wide reply joins nobody."""
    says = {"a": (-0.001, 0.001), "b": (-0.002, 0.0005), "c": (0.1, 0.11), "d": (0.105, 0.12)}
    samples = unknown(0, 310, BoundReason.NO_MAJORITY)
    for name, (lower_s, upper_s) in says.items():
        for second in range(200, 300, 16):
            samples.append(
                made.server(float(second), name, 3, lower_seconds=lower_s, upper_seconds=upper_s, reason=13)
            )
    samples.append(made.server(299.0, "a", 3, lower_seconds=-0.5, upper_seconds=0.5, reason=13))
    evidence = flags(node(samples, 301))["no_majority"]["evidence"]
    assert evidence["split"] == "2–2"
    assert [camp["servers"] for camp in evidence["camps"]] == [["a", "b"], ["c", "d"]]
    assert evidence["camps"][1]["lower_s"] == pytest.approx(0.105, abs=0.0005)


def test_camps_are_told_apart_by_milliseconds_and_not_across_a_step() -> None:
    samples = [*unknown(0, 310, BoundReason.NO_MAJORITY), made.event(280.0, "step", 1.0)]
    for second in range(200, 300, 16):
        for name, offset_s in (("a", 0.0), ("b", 0.0005), ("c", 0.004), ("d", 0.0045)):
            since_step_s = offset_s - (second > 280)
            samples.append(
                made.server(
                    float(second),
                    name,
                    3,
                    lower_seconds=since_step_s - 0.001,
                    upper_seconds=since_step_s + 0.001,
                    reason=13,
                )
            )
    evidence = flags(node(samples, 301))["no_majority"]["evidence"]
    assert {tuple(camp["servers"]) for camp in evidence["camps"]} == {("a", "b"), ("c", "d")}
    assert all(-1.01 < camp["lower_s"] < -0.99 for camp in evidence["camps"])


# Servers


def polls(name: str, false: str, **fields: float) -> list[Sample]:
    """A poll of four exchanges every 16 s, each a letter: f false, s selected, l lost."""
    verdicts = {"f": 2, "s": 1, "l": 0}
    return [
        made.server(16.0 * poll + 0.1 * each, name, verdicts[said], outcome=int(said == "l"), **fields)
        for poll, said in enumerate(false)
        for each in range(4)
    ]


def test_a_falseticker_is_one_poll_after_poll() -> None:
    at_the_edge = [*bounds((0, 400, 0.0)), *polls("edge", "sfsfsfsfsfsf")]
    assert not any(flags(node(at_the_edge, 16.0 * poll + 5)) for poll in range(12))
    false = [*bounds((0, 400, 0.0)), *polls("false", "sffffff")]
    assert "falseticker_in_use" in pending(node(false, 30))
    assert flags(node(false, 37))["falseticker_in_use"]["since"] == at(16)


def test_lost_exchanges_and_a_good_poll_do_not_end_a_falseticker() -> None:
    samples = [made.bound(float(second), -0.001, 0.001, servers_rejected=1) for second in range(0, 400, 10)]
    samples += [*polls("false", "ffflflsffsssss"), *polls("good", "s" * 14)]
    seen = ["falseticker_in_use" in flags(node(samples, 16.0 * poll + 5)) for poll in range(2, 14)]
    assert seen == [True] * 10 + [False] * 2


def test_a_smearing_server_is_called_so() -> None:
    samples = [*bounds((0, 100, 0.0)), *polls("smears", "fffff", reason=19)]
    evidence = flags(node(samples, 66))["falseticker_in_use"]["evidence"]
    assert evidence["smearing"] == ["smears"]


# Steps


def kernel(second: float, **fields: float) -> Sample:
    values: dict[str, float | int] = {
        "synchronized": 1,
        "frequency_ppm": -12.0,
        "offset_seconds": 0.0,
        "maxerror_seconds": 0.02,
        "status": 1,
        "leap": 0,
    }
    return made.sample("truechimer_kernel", second, values | fields)


LOST = {"synchronized": 0, "maxerror_seconds": 16.0, "status": 64}


@pytest.mark.parametrize(
    ("before", "after", "size_s", "who"),
    [
        ({}, [LOST, {}], -0.5, "time_daemon"),
        (LOST, [LOST, {}], 20.0, "time_daemon"),
        (LOST, [{**LOST, "maxerror_seconds": 0.5}], 20.0, "time_daemon"),
        (LOST, [{**LOST, "frequency_ppm": 3.0}], 0.2, "time_daemon"),
        ({}, [LOST, LOST], -0.5, "other"),
        (LOST, [LOST, LOST], -0.5, "other"),
        ({"leap": 1}, [{}], -1.0, "kernel_leap"),
        ({"leap": 2}, [{}], 1.0, "kernel_leap"),
        ({}, [], -0.5, "unknown"),
    ],
)
def test_a_step_names_who_made_it_by_what_the_kernel_said_before_and_after(
    before: dict[str, float], after: list[dict[str, float]], size_s: float, who: str
) -> None:
    samples = [*bounds((0, 350, 0.0)), kernel(195, **before), made.event(200.5, "step", size_s)]
    samples += [kernel(205 + 10.0 * index, **fields) for index, fields in enumerate(after)]
    samples += [
        made.sample(
            "truechimer_clock",
            second,
            {"wall_rate_ppm": ppm, "mono_rate_ppm": ppm, "steady_seconds": second, "epoch": 1},
        )
        for second, ppm in ((190.0, 3.0), (200.0, 4.0), (210.0, 5.0), (220.0, 6.0))
    ]
    samples.append(made.sample("truechimer_daemon", 190, {"stratum": 2}, daemon="chrony"))
    early = flags(node(samples, 290))["stepped"]["evidence"]
    assert early["who"] == ("unknown" if who == "other" else who)
    evidence = flags(node(samples, 330))["stepped"]["evidence"]
    assert (evidence["who"], evidence["daemons"], evidence["size_s"]) == (who, ["chrony"], size_s)
    assert evidence["kernel_before"]["mono_rate_ppm"] == 4.0
    assert evidence["kernel_before"]["synchronized"] == (before.get("synchronized", 1) == 1)
    if after:
        assert evidence["kernel_after"]["mono_rate_ppm"] == 6.0
    assert [cause["who"] for cause in evidence["causes"]] == [who]


def test_without_the_kernels_word_nobody_is_blamed() -> None:
    samples = [*bounds((0, 300, 0.0)), made.event(200.5, "step", 1.0)]
    evidence = flags(node(samples, 290))["stepped"]["evidence"]
    assert (evidence["who"], evidence["kernel_before"], evidence["daemons"]) == ("unknown", None, [])


def test_every_flag_with_a_rule_and_every_limit_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "clocks.md").read_text()
    assert [flag.value for flag in RULES if f"| `{flag.value}` |" not in page] == []
    limits = [field.name for field in dataclasses.fields(LimitsConfig)]
    assert [name for name in limits if f"`{name}`" not in page and name != "max_skew_s"] == []
