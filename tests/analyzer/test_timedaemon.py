"""A time daemon's belief against what is proven at the same instant: when they disagree, and when not."""

import json
from typing import Any

import pytest
from analyzer import synthetic as made
from analyzer.synthetic import T0, ArrayStore
from hypothesis import given
from hypothesis import strategies as st

from truechimer.samples import Sample
from truechimer_analyzer.answers import answer
from truechimer_analyzer.window import iso

WORDS = (200.0, 216.0, 232.0, 248.0, 264.0, 280.0, 296.0)


def asked(
    at_s: float, system_time_s: float, lower_s: float = -0.001, upper_s: float = 0.001, **fields: Any
) -> list[Sample]:
    """A word with its two bounds, as the agent sends them."""
    return [
        made.bound(at_s - 0.02, lower_s, upper_s),
        made.daemon(at_s, system_time_s, **fields),
        made.bound(at_s + 0.02, lower_s, upper_s),
    ]


def told(*belief_s: float, **fields: Any) -> list[Sample]:
    """Words every 16 s, the last at 296 s."""
    every = zip(WORDS[-len(belief_s) :], belief_s, strict=True)
    return [sample for at_s, system_time_s in every for sample in asked(at_s, system_time_s, **fields)]


def node(samples: list[Sample], now_s: float = 300.0, **options: str) -> dict[str, Any]:
    document = answer("clocks", options, ArrayStore(samples, now_s))  # type: ignore[arg-type]
    json.dumps(document, allow_nan=False)
    (found,) = document["nodes"]  # type: ignore[misc]
    return found  # type: ignore[no-any-return]


def flag(found: dict[str, Any], name: str = "daemon_disagrees") -> dict[str, Any] | None:
    return next((each for each in found["flags"] if each["flag"] == name), None)


def test_a_daemon_that_agrees_is_shown_with_its_interval() -> None:
    """UTC − W as it believes, ± (root dispersion + half the root delay)."""
    found = node(told(0.0002, 0.0002))
    assert flag(found) is None
    assert found["daemon"] == {
        "name": "chrony",
        "at": iso(T0 + 296 * made.NS),
        "system_time_s": 0.0002,
        "lower_s": pytest.approx(-0.0008),
        "upper_s": pytest.approx(0.0012),
        "agrees": True,
        "frequency_ppm": 3.0,
        "stratum": 2,
        "leap": "none",
        "reachable_sources": 3,
    }


def test_a_node_without_a_daemon_has_none() -> None:
    assert node([made.bound(296, -0.001, 0.001)])["daemon"] is None


@pytest.mark.parametrize(("believed_s", "sign"), [(0.037, 1), (-0.037, -1)])
def test_the_second_word_that_is_apart_raises_it_with_both_figures(believed_s: float, sign: int) -> None:
    found = node(told(0.0, believed_s, believed_s))
    raised = flag(found)
    assert raised is not None
    assert raised["since"] == iso(T0 + 280 * made.NS)
    assert raised["evidence"] == {
        "daemon": "chrony",
        "daemon_s": believed_s,
        "daemon_lower_s": pytest.approx(believed_s - 0.001),
        "daemon_upper_s": pytest.approx(believed_s + 0.001),
        "lower_s": pytest.approx(-0.001, abs=1e-4),
        "upper_s": pytest.approx(0.001, abs=1e-4),
        "apart_s": pytest.approx(sign * 0.035, abs=1e-4),
        "stratum": 2,
        "reachable_sources": 3,
    }
    assert found["state"] == "ok"
    assert found["daemon"]["agrees"] is False


@pytest.mark.parametrize(
    "beliefs_s",
    [(0.0, 0.037), (0.037, 0.037, 0.0), (0.037, 0.0, 0.037), (0.037, -0.037), (0.0019, 0.0019)],
    ids=["one word", "over again", "not in a row", "to and fro", "they meet"],
)
def test_less_than_two_words_in_a_row_to_one_side_raise_nothing(beliefs_s: tuple[float, ...]) -> None:
    assert flag(node(told(*beliefs_s))) is None


def test_two_words_at_once_are_one() -> None:
    """An agent that is started anew asks at once, and a little later again."""
    assert flag(node([*asked(293, 0.037), *asked(296, 0.037)])) is None


def test_words_far_apart_are_not_in_a_row() -> None:
    assert flag(node([*asked(200, 0.037), *asked(296, 0.037)])) is None


def test_an_old_word_is_none_about_now() -> None:
    found = node(told(0.037, 0.037), 360.0)
    assert (flag(found), found["daemon"]) == (None, None)
    assert flag(node(told(0.037, 0.037), 350.0)) is not None


def test_since_goes_back_to_the_beginning_of_the_run_in_the_window() -> None:
    """Further than the last minutes, in which it is looked for."""
    samples = [sample for at_s in range(0, 1000, 16) for sample in asked(at_s, 0.037 if at_s > 99 else 0.0)]
    raised = flag(node(samples, 1000.0))
    assert raised is not None
    assert raised["since"] == iso(T0 + 112 * made.NS)


def test_a_step_or_a_slew_of_w_while_the_daemon_is_asked_is_no_disagreement() -> None:
    """The bound before says one thing, the one after another: the daemon may have meant either."""
    samples = []
    for at_s, before_s in ((280.0, 0.5), (296.0, 0.6)):
        samples += [
            made.bound(at_s - 0.02, before_s - 0.001, before_s + 0.001),
            made.daemon(at_s, before_s - 0.05),
            made.bound(at_s + 0.02, before_s - 0.101, before_s - 0.099),
        ]
    assert flag(node(samples)) is None


def test_a_daemon_that_does_not_notice_a_step_disagrees() -> None:
    """W was stepped by half a second; two words later it still says that all is well."""
    samples = [*asked(264, 0.0), made.event(270, "step", 0.5)]
    samples += [sample for at_s in (280, 296) for sample in asked(at_s, 0.0, -0.501, -0.499)]
    raised = flag(node(samples))
    assert raised is not None
    assert raised["evidence"]["apart_s"] == pytest.approx(0.498, abs=1e-3)


@pytest.mark.parametrize(
    "beside",
    [
        {"status": 0},
        {"status": 3},
        {"epoch": 2},
        {"steady_seconds": 100.0},
    ],
)
def test_nothing_is_claimed_without_a_trusted_bound_on_both_sides(beside: dict[str, float]) -> None:
    """Untrusted, of another epoch, or at another time."""
    samples: list[Sample] = []
    for at_s in (280.0, 296.0):
        samples += [
            made.bound(at_s - 0.02, -0.001, 0.001),
            made.daemon(at_s, 0.037),
            made.bound(at_s + 0.02, -0.001, 0.001, **beside),
        ]
    found = node(samples)
    assert flag(found) is None
    assert found["daemon"]["agrees"] is None


def test_a_bound_without_an_interval_proves_nothing() -> None:
    samples: list[Sample] = []
    for at_s in (280.0, 296.0):
        samples += [
            made.bound(at_s - 0.02, -0.001, 0.001),
            made.daemon(at_s, 0.037),
            made.bound(at_s + 0.02, None, None),
        ]
    assert node(samples)["daemon"]["agrees"] is None


def test_an_unsynchronised_daemon_claims_nothing() -> None:
    found = node(told(0.037, 0.037, leap=3, stratum=0))
    assert (flag(found), found["daemon"]["agrees"], found["daemon"]["leap"]) == (None, None, "unsynchronised")


def test_an_offset_of_a_past_update_may_have_been_slewed_away() -> None:
    """ntpd and timesyncd tell the last offset: anything from there to 0 is their belief."""
    assert flag(node(told(0.037, 0.037, name="ntpd"))) is None
    behind = told(0.037, 0.037, name="timesyncd", lower_s=-0.060, upper_s=-0.050)
    raised = flag(node(behind))
    assert raised is not None
    assert (raised["evidence"]["daemon"], raised["evidence"]["daemon_lower_s"]) == ("timesyncd", -0.001)


def test_of_two_daemons_the_one_that_disagrees_is_named() -> None:
    samples = told(0.037, 0.037, name="chrony")
    samples += [made.daemon(at_s + 0.01, 0.0, name="ntpd") for at_s in (280, 296)]
    found = node(samples)
    raised = flag(found)
    assert raised is not None
    assert (raised["evidence"]["daemon"], found["daemon"]["name"]) == ("chrony", "chrony")


def test_the_past_is_answered_from_what_was_said_then() -> None:
    samples = [*told(0.037, 0.037), *asked(5000, 0.0), *asked(5016, 0.0)]
    assert flag(node(samples, 5020.0)) is None
    assert flag(node(samples, 9000.0, to=iso(T0 + 300 * made.NS))) is not None


def test_a_daemons_leap_second_joins_the_dispute() -> None:
    """Alone against its servers it is one; beside servers that contradict each other it is evidence."""
    quiet = [made.server(299, "a1"), made.server(299, "a2")]
    alone = flag(node([*told(0.0, 0.0, leap=1), *quiet]), "leap_mismatch")
    assert alone is not None
    assert alone["evidence"] == {"servers": {"a1": "none", "a2": "none"}, "daemons": {"chrony": "insert"}}
    assert alone["since"] == iso(T0 + 280 * made.NS)
    torn = [
        made.server(float(at), name, leap=leap) for at in (230, 299) for name, leap in (("a1", 0), ("a2", 1))
    ]
    beside = flag(node([*told(0.0, 0.0, leap=1), *torn]), "leap_mismatch")
    assert beside is not None
    assert beside["evidence"]["daemons"] == {"chrony": "insert"}
    assert flag(node([*told(0.0, 0.0, leap=0), *quiet]), "leap_mismatch") is None
    assert flag(node([*told(0.0, 0.0, leap=3), *quiet]), "leap_mismatch") is None
    assert flag(node([*asked(280, 0.0), *asked(296, 0.0, leap=1), *quiet]), "leap_mismatch") is None


@given(
    truth_s=st.floats(-0.1, 0.1),
    slew_ppm=st.floats(-80_000, 80_000),
    asking_s=st.floats(0.001, 3.0),
    moment=st.floats(0, 1),
    half_s=st.floats(1e-6, 0.01),
    error_s=st.floats(0, 1),
)
def test_a_daemon_that_is_right_never_disagrees(
    truth_s: float, slew_ppm: float, asking_s: float, moment: float, half_s: float, error_s: float
) -> None:
    """Whatever UTC − W is and however W is slewed, up to 8 %, while it is asked."""
    samples: list[Sample] = []
    for at_s in (280.0, 296.0):

        def offset_s(after_s: float, at_s: float = at_s) -> float:
            return truth_s + slew_ppm * 1e-6 * (at_s + after_s - 280.0)

        for after_s in (-asking_s / 2 - 0.001, asking_s / 2 + 0.001):
            proven = offset_s(after_s)
            samples.append(made.bound(at_s + after_s, proven - half_s * error_s, proven + half_s))
        believed = offset_s((moment - 0.5) * asking_s) + 0.001 * (2 * error_s - 1)
        samples.append(made.daemon(at_s, believed))
    found = node(samples, 299.0)
    assert flag(found) is None
    assert found["daemon"]["agrees"] is True
