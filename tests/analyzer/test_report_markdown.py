"""`report`: everything in one Markdown document that people can read and hostile names cannot break."""

from typing import Any

import numpy as np
import pytest
from analyzer import synthetic as made
from analyzer.meshfleet import NOW_S, Fleet, Host
from analyzer.synthetic import ArrayStore

from truechimer.samples import Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.report.figures import length, rate, signed


def report(samples: list[Sample], now_s: float = 400, **options: str) -> str:
    document: dict[str, Any] = answer("report", options, ArrayStore(samples, now_s))  # type: ignore[arg-type]
    assert document["generated"].endswith("Z")
    return str(document["markdown"])


def host(node: str = "a") -> list[Sample]:
    return [
        made.bound(395, -0.001, 0.002, node),
        made.server(394, "10.0.0.9", 2, node),
        made.event(300, "step", -0.5, node),
        made.pause_window(390.0, node=node),
        made.pause(380.0, 0.05, "stopped", node),
        *(made.probe(float(at), 0.001, node=node) for at in range(390)),
    ]


def test_a_report_of_nothing_says_so() -> None:
    text = report([])
    assert "No node has reported a clock" in text
    assert "No probes" in text
    assert "Nobody was looking" in text
    assert "Refused" in text


def test_a_report_has_every_part_with_its_evidence_and_assumptions() -> None:
    text = report(host())
    for part in (
        "## Clocks",
        "## Round trips",
        "## Pauses",
        "## Timeouts",
        "## What this rests on",
        "stepped",
        "−500 ms",
        "10.0.0.9",
        "stopped 1",
        "390",
        "strictest supported",
        "a lost operation is a true timeout",
    ):
        assert part in text
    assert "None" not in text
    assert "nan" not in text.lower()


def test_a_mesh_has_its_part_with_the_liar_and_his_evidence() -> None:
    hosts = [Host(name, peers=[each for each in "abcd" if each != name]) for name in "abcd"]
    text = report(Fleet(hosts, np.random.default_rng(1)).samples(), NOW_S, kind="clocks")
    for part in ("## Skew", "prod: 4 wall clocks at most", "proven within 250 ms", "of 6 pairs", "500 ppm"):
        assert part in text
    hosts[2].stamp_lie_s = 0.02
    hosts[2].name = "c|*x"
    for host in hosts:
        host.peers = [each.name for each in hosts if each is not host]
    text = report(Fleet(hosts, np.random.default_rng(1)).samples(), NOW_S, kind="clocks")
    assert r"c\|\*x must be wrong" in text
    assert r"asked c\|\*x at 2026-11-22T20:" in text
    assert "None" not in text


def test_without_a_mesh_there_is_no_part_about_skew() -> None:
    assert "## Skew" not in report(host())


def steady(node: str = "a") -> list[Sample]:
    """Two hours of W − S that strays 1 µs a second, and never a bound."""
    return [
        made.sample(
            "truechimer_clock",
            float(at),
            {
                "wall_minus_steady_seconds": 1e-6 * at,
                "wall_rate_ppm": 1.0,
                "steady_seconds": float(at),
                "epoch": 1,
            },
            node,
        )
        for at in range(0, 7200, 10)
    ]


def test_stability_has_a_row_for_each_record_with_what_is_missing() -> None:
    """At 1 min, 10 min, 1 h and 1 d: what strays 1 µs a second strays 60 µs, 600 µs, 3.6 ms, unknown."""
    text = report(steady(), 7200, since="2h")
    (found,) = [line for line in text.splitlines() if "wall clock against oscillator" in line]
    assert "| 60 µs, 600 µs, –, – |" in found
    assert "100% of the window" in found
    assert text.count("refused: no bound of UTC stood in this window") == 2
    assert "what a lease of that length must allow" in text
    assert "## Stability" in report(host())
    assert "## Stability" not in report(host(), kind="timeouts")
    assert_tables_are_even(report(steady("<b>|x|"), 7200, since="2h"))


def test_a_part_can_be_asked_for_alone() -> None:
    assert "## Timeouts" not in report(host(), kind="clocks")
    assert "## Clocks" not in report(host(), kind="timeouts")


def test_names_from_the_network_stay_names() -> None:
    text = report(host("<b>|x|\n# y"))
    assert "<b>" not in text
    assert "\n# y" not in text
    assert_tables_are_even(text)


def assert_tables_are_even(text: str) -> None:
    """Every row of a table has as many cells as its head."""
    columns = None
    for line in text.splitlines():
        cells = line.replace("\\|", "").count("|") if line.startswith("|") else None
        assert columns is None or cells in (None, columns), line
        columns = cells


def test_tables_have_as_many_cells_as_heads() -> None:
    assert_tables_are_even(report(host()))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (0.00034, "340 µs"),
        (0.0021, "2.1 ms"),
        (1.25, "1.25 s"),
        (3600.0, "3600 s"),
        (9000.0, "2.5 h"),
        (864_000.0, "10 d"),
        (2e-9, "2 ns"),
        (1e-12, "0.001 ns"),
    ],
)
def test_lengths_have_three_digits_and_the_unit_that_fits(seconds: float | None, text: str) -> None:
    assert length(seconds) == text


def test_offsets_carry_their_sign() -> None:
    assert (signed(-0.5), signed(0.5), signed(None)) == ("−500 ms", "+500 ms", "–")
    assert rate(-1.0, 12.34) == "−1.0 to +12.3"
    assert rate(None, 1.0) == "–"


def test_pauses_are_reported_with_their_exposure_and_what_is_beside_them() -> None:
    kind = {"source": "db", "runtime": "jvm"}
    samples = [*host(), made.pause_window(390.0, count=1, total_seconds=1.2, max_seconds=1.2)]
    samples += [
        made.pause_window(100.0, count=9, total_seconds=0.9, max_seconds=0.1, max_upper_seconds=0.4, **kind),
        made.pause(95.0, 0.9, "gc", pauses=9, sync_seconds=0.02, **kind),
        made.pause(95.0, 0.5, "io", source="blind", runtime="node"),
        made.sample(
            "truechimer_process", 390, {"observed_seconds": 10.0, "processes": 0, "run_seconds": 1.0,
             "run_delay_seconds": 3.0}, **kind
        ),
        made.sample("truechimer_heap", 390, {"old_full_ratio": 0.95}, **kind),
        made.sample("truechimer_fsync", 390, {"duration_seconds": 0.25, "outcome": 0}, disk="/var/*"),
    ]  # fmt: skip
    text = report(samples)
    for part in (
        "**a: db: unknown**, nobody has looked for 300 s",
        "a: db: 9 pauses were not seen singly",
        "9 in 900 ms, on average 100 ms, of a: db at",
        "(gc, 90% sure): sync 20 ms",
        "100 ms … 400 ms",
        "**a: blind: refused**: nobody was looking",
        "3 s (75 % of what it wanted)",
        "nearly full",
        "| a: /var/\\* | watched | 0 s | 1 | 0 |",
        "What others feel, at most:",
    ):
        assert part in text, part
    assert "None" not in text


def test_timeouts_of_pauses_alone_are_reported_with_what_no_lease_promises():
    """A GC log that was imported: nobody probed, and the report says so."""
    samples = [made.pause_window(10.0 * at, source="db", runtime="jvm") for at in range(8641)]
    samples += [made.pause(at, 2.5, "gc", source="db", runtime="jvm") for at in (1000.3, 30_000.3, 70_000.3)]
    store = made.ArrayStore(samples, 86_400)
    options = {"since": "30d", "kind": "timeouts", "false_per_month": "100"}
    found = str(answer("report", options, store)["markdown"])
    assert "From pauses alone, watched for 1 days" in found or "From pauses alone, watched for 24" in found
    assert "a holder stopped for longer" in found
    assert "fencing tokens" in found
    assert "nobody probed" in found
