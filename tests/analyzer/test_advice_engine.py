"""The engine on a made-up product: what is kept, raised, shortened, refused, and what is named as binding."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer.errors import ConfigError, UserError
from truechimer_analyzer.advice.asked import parse_current, parse_products
from truechimer_analyzer.advice.describing import describe
from truechimer_analyzer.advice.engine import Advice, Wish, advise
from truechimer_analyzer.advice.loading import load, parse_product
from truechimer_analyzer.advice.measured import Measured, Stream
from truechimer_analyzer.advice.values import read_value, round_up, write_value

TEXT = """
product = "thing"
title = "Thing"
versions = ["1.0", "2.0"]
binds = ["silence", "rtt"]

[settings.beat]
name = "beat"
unit = "ms"
kind = "config"
default = 100
what = "interval"
source = "thing.c 1.0"
[settings.beat.at_most]
rule = "timeout / 4"
why = "four beats"
source = "thing.c 1.0"

[settings.timeout]
name = "time-out"
unit = "ms"
kind = "config"
default = 1000
max = 60000
what = "silence"
source = "thing.c 1.0"
[[settings.timeout.changes]]
before = "2.0"
default = 500
source = "thing.c 0.9"
[settings.timeout.at_least]
rule = "max(10 * rtt_max_s, silence(beat))"
why = "ten round trips and no false alarm"
source = "thing.c 1.0"

[settings.factor]
name = "factor"
unit = ""
kind = "config"
default = 3
what = "lost beats"
source = "thing.c 1.0"

[[constraints]]
rule = "timeout >= factor * beat"
message = "refuses to start"
source = "thing.c 1.0"

[prediction]
alarm = "silence"
every = "beat"
timeout = "timeout"
source = "thing.c 1.0"
[prediction.detect]
min = "timeout - beat"
mean = "timeout - beat / 2"
max = "timeout"
source = "thing.c 1.0"

[snippet]
format = "yaml"
file = "thing.yml"
template = "time-out: {timeout}"
"""
THING = parse_product(TEXT, "thing")


def measured(late_s: float, rtt_s: float = 0.001, rate: float = 0.5) -> Measured:
    """Silences are the interval and ``late_s``; any shorter timeout raises a thousand a month."""

    def false(every_s: float, timeout_s: float) -> float:
        return rate if timeout_s >= every_s + late_s - 1e-9 else 1000.0

    stream = Stream(lambda every_s: every_s + late_s, false)
    return Measured(
        rtt_max_s=rtt_s, silence=stream, owners={"silence": "pause:gc@b", "rtt_max_s": "path:a>b/tcp"}
    )


def of(advice: Advice, key: str) -> tuple[float | None, float | None]:
    choice = next(each for each in advice.choices if each.setting.key == key)
    return choice.current, choice.advised


def test_what_the_evidence_supports_is_kept_however_generous() -> None:
    advice = advise(THING, measured(0.2), {}, Wish(1.0))
    assert advice.verdict == "keep"
    assert of(advice, "timeout") == (1000, 1000)
    choice = advice.choices[1]
    assert choice.least == 300
    assert "at least 300 ms" in choice.reason
    assert advice.current.false_per_month == 0.5


def test_too_short_a_timeout_is_raised_to_what_the_evidence_asks_for_rounded_up() -> None:
    advice = advise(THING, measured(2.231), {}, Wish(1.0))
    assert advice.verdict == "tune"
    assert of(advice, "timeout") == (1000, 2400)
    assert advice.binding == "pause:gc@b"
    assert advice.current.false_per_month == 1000
    assert advice.advised is not None
    assert advice.advised.false_per_month == 0.5
    document = describe(advice)
    assert document["snippet"] == "time-out: 2400\n"
    assert "silence 2.33 s" in document["settings"][1]["reason"]


def test_the_binding_term_is_whatever_moves_the_advice() -> None:
    advice = advise(THING, measured(0.1, rtt_s=0.5), {}, Wish(1.0))
    assert of(advice, "timeout") == (1000, 5000)
    assert advice.binding == "path:a>b/tcp"


def test_a_quicker_detection_is_approached_from_the_generous_side() -> None:
    advice = advise(THING, measured(0.1), {}, Wish(1.0, detect_within_s=0.6))
    assert advice.verdict == "tune"
    _, advised = of(advice, "timeout")
    assert advised is not None
    assert 500 <= advised <= 600
    assert of(advice, "factor") == (3, 3)
    assert all(each.advised == "holds" for each in advice.constraints)


def test_what_cannot_be_noticed_in_time_is_to_be_fixed_first() -> None:
    advice = advise(THING, measured(2.0), {}, Wish(1.0, detect_within_s=0.5))
    assert advice.verdict == "fix_first"
    document = describe(advice)
    assert document["snippet"] is None
    assert "cannot be noticed within 500 ms" in document["fix"]
    assert "pause:gc@b" in document["fix"]


def test_beyond_the_products_maximum_nothing_is_to_be_tuned() -> None:
    advice = advise(THING, measured(90.0), {}, Wish(1.0))
    assert advice.verdict == "fix_first"
    assert any("60000 ms is its maximum" in problem for problem in advice.problems)


def test_a_violated_rule_of_present_settings_is_told() -> None:
    advice = advise(THING, measured(0.1), {"beat": 400, "timeout": 1000}, Wish(1.0))
    (rule,) = advice.constraints
    assert (rule.rule, rule.current, rule.advised) == ("time-out >= factor * beat", "violated", "holds")
    assert of(advice, "beat") == (400, 250)
    assert advice.verdict == "tune"


def test_without_evidence_what_is_missing_is_named_and_rules_are_still_checked() -> None:
    advice = advise(THING, Measured(rtt_max_s=0.1), {"beat": 400, "timeout": 1000}, Wish(1.0))
    assert advice.verdict == "insufficient_data"
    assert any("silent" in said for said in advice.missing)
    (rule,) = advice.constraints
    assert (rule.current, rule.advised) == ("violated", "unknown")
    document = describe(advice)
    assert document["snippet"] is None
    assert document["predicted"]["advised"] is None
    assert document["settings"][1]["advised"] is None


def test_evidence_that_does_not_reach_says_why_itself() -> None:
    stream = Stream(lambda _: None, lambda _, __: None, lambda _: "needs 3 days more of these probes")
    advice = advise(THING, Measured(rtt_max_s=0.1, silence=stream), {}, Wish(1.0))
    assert advice.verdict == "insufficient_data"
    assert advice.missing == ("needs 3 days more of these probes",)


def test_false_alarms_that_remain_are_to_be_fixed_first() -> None:
    """The timeout that the evidence named does not keep its promise: never said to be good."""
    advice = advise(THING, measured(0.2, rate=7.0), {}, Wish(1.0))
    assert advice.verdict == "fix_first"
    assert any("7 false alarms a month remain" in problem for problem in advice.problems)


@given(st.floats(0, 200), st.floats(0, 3), st.integers(1, 5000), st.integers(1, 50_000))
def test_no_advice_is_below_what_the_evidence_asks_for(
    late_s: float, rtt_s: float, beat: int, timeout: int
) -> None:
    """Whatever the present settings: advice keeps rules and evidence, or says that nothing does."""
    advice = advise(THING, measured(late_s, rtt_s), {"beat": beat, "timeout": timeout}, Wish(1.0))
    if advice.verdict in {"tune", "keep"}:
        _, advised_beat = of(advice, "beat")
        _, advised = of(advice, "timeout")
        assert advised is not None
        assert advised_beat is not None
        assert advised / 1000 >= max(10 * rtt_s, advised_beat / 1000 + late_s) * (1 - 1e-9)
        assert advised >= 3 * advised_beat
    else:
        assert advice.verdict == "fix_first"


@given(st.floats(0.0001, 1e6))
def test_rounding_up_never_falls_below_and_adds_a_tenth_at_most(value: float) -> None:
    rounded = round_up(THING.settings["timeout"], value)
    assert rounded >= value * (1 - 1e-9)
    assert rounded <= max(value * 1.1, math.ceil(value)) + 1e-9
    assert rounded == int(rounded)


@given(st.integers(0, 10**9))
def test_what_is_written_is_read_back(value: int) -> None:
    lease = load("kubernetes-leader-election").settings["lease_duration"]
    for setting in (THING.settings["timeout"], lease, load("akka").settings["acceptable_pause"]):
        assert read_value(setting, write_value(setting, value)) == value


def test_a_rule_that_names_its_own_setting_is_followed_until_it_holds() -> None:
    """silence(timeout / 2) grows with the timeout: 0.5 · T + 1 <= T first at 2 s."""
    text = TEXT.replace("max(10 * rtt_max_s, silence(beat))", "silence(timeout / 2)")
    advice = advise(parse_product(text, "thing"), measured(1.0), {}, Wish(1.0))
    _, advised = of(advice, "timeout")
    assert advised is not None
    assert 2000 <= advised <= 2200
    endless = TEXT.replace("max(10 * rtt_max_s, silence(beat))", "silence(timeout)")
    advice = advise(parse_product(endless, "thing"), measured(1.0), {}, Wish(1.0))
    assert advice.verdict == "fix_first"


def test_versions_have_their_own_defaults() -> None:
    assert parse_product(TEXT, "thing", "1.5").settings["timeout"].default == 500
    assert parse_product(TEXT, "thing", "2.0").settings["timeout"].default == 1000
    assert THING.version == "2.0"
    checked = {
        version: parse_product(TEXT, "thing", version).checked for version in ("1.0.7", "v2.0", "2.01", "3")
    }
    assert checked == {"1.0.7": True, "v2.0": True, "2.01": False, "3": False}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('source = "thing.c 1.0"', "", 1), "source is missing"),
        (lambda text: text.replace("factor * beat", "factor * bet"), "names bet"),
        (lambda text: text.replace("silence(beat)", "silences(beat)"), "names silences"),
        (lambda text: text.replace("timeout - beat", "timeout - "), "cannot be parsed"),
        (lambda text: text.replace('kind = "config"', 'kind = "conf"', 1), "none of"),
        (lambda text: text.replace("default = 100", "defualt = 100", 1), "unknown defualt"),
        (lambda text: text.replace("{timeout}", "{time}"), "names time"),
        (lambda text: text.replace('binds = ["silence"', 'binds = ["noise"'), "noise"),
        (lambda text: text.replace('"thing"', '"other"', 1), "not the file's name"),
        (lambda text: text + "[", "thing.toml"),
    ],
)
def test_a_wrong_file_says_where(change: Callable[[str], str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_product(change(TEXT), "thing")


def test_products_are_asked_for_by_name_and_version() -> None:
    assert [(each.product, each.version) for each in parse_products("etcd@3.4, kafka-consumer")] == [
        ("etcd", "3.4"),
        ("kafka-consumer", "4.0"),
    ]
    assert len(parse_products("all")) >= 9
    for wrong in ("etdc", "etcd@new", "etcd,etcd", ",", ""):
        with pytest.raises(UserError):
            parse_products(wrong)
    with pytest.raises(UserError) as refused:
        parse_products("etdc")
    assert "'etcd'" in (refused.value.hint or "")


def test_present_settings_are_checked_where_they_are_asked_about() -> None:
    etcd = [load("etcd")]
    read = parse_current('{"etcd": {"election-timeout": 2000, "heartbeat_interval": "200"}}', etcd)
    assert read == {"etcd": {"election_timeout": 2000, "heartbeat_interval": 200}}
    for wrong in (
        "{",
        "[]",
        '{"etcd": 3}',
        '{"zookeeper": {}}',
        '{"etcd": {"colour": 1}}',
        '{"etcd": {"election-timeout": true}}',
        '{"etcd": {"election-timeout": 1.5}}',
        '{"etcd": {"election-timeout": "1s"}}',
        '{"etcd": {"election-timeout": 1e999}}',
        '{"etcd": {"election-timeout": 1e300}}',
        '{"etcd": {"election-timeout": "99999999999999999999"}}',
    ):
        with pytest.raises(UserError, match="current"):
            parse_current(wrong, etcd)
