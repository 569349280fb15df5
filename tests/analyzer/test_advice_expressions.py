"""Rules: arithmetic as written, unknowns that spread no further than they must, and nothing but computing."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truechimer_analyzer.advice.expressions import Unknown, WrongExpressionError, parse

NUMBERS = st.floats(min_value=0.001, max_value=1000)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_rule_computes_what_it_says(a: float, b: float, c: float) -> None:
    rule = parse("max(a * 2 + b, c / 4) - min(a, 500ms)")
    assert rule.number({"a": a, "b": b, "c": c}) == pytest.approx(max(a * 2 + b, c / 4) - min(a, 0.5))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500ms", 0.5),
        ("50s", 50),
        ("5min + 1h", 3900),
        ("2us", 2e-6),
        ("1 if 2 > 3 else 7", 7),
        ("ceil(2.1) + floor(2.9)", 5),
        ("-x + 3", 1),
        ("1 <= x <= 3", True),
        ("1 <= x < 2", False),
        ("not x == 2 or x != 3", True),
    ],
)
def test_lengths_of_time_conditions_and_chains(text: str, value: float) -> None:
    assert parse(text).value({"x": 2.0}) == pytest.approx(value)


def test_what_differs_by_a_floats_error_is_equal() -> None:
    """3 · 0.1 is 0.30000000000000004."""
    assert parse("3 * x <= 300ms").value({"x": 0.1}) is True
    assert parse("3 * x > 300ms").value({"x": 0.1}) is False


def test_what_is_unknown_is_named_and_decides_no_more_than_it_must() -> None:
    with pytest.raises(Unknown) as unknown:
        parse("max(a, b)").value({"a": 1.0, "b": None})
    assert unknown.value.name == "b"
    assert parse("a > 0 or b > 0").value({"a": 1.0}) is True
    assert parse("b > 0 and a < 0").value({"a": 1.0}) is False
    with pytest.raises(Unknown):
        parse("a > 0 and b > 0").value({"a": 1.0})
    with pytest.raises(Unknown):
        parse("a / (a - 1)").value({"a": 1.0})
    with pytest.raises(Unknown):
        parse("f(a)").value({"a": 1.0}, {"f": lambda _: None})
    with pytest.raises(Unknown):
        parse("a").value({"a": math.nan})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "__import__('os').system('true')",
        "a.b",
        "a[0]",
        "[1, 2]",
        "lambda: 1",
        "'text'",
        "2 ** 9999999",
        "f(*a)",
        "f(x=1)",
        "f()",
        "(x := 3)",
        "a in b",
        "1 if",
        "a; b",
        "(" * 500 + "1" + ")" * 500,
        "1" * 2000,
    ],
)
def test_nothing_but_arithmetic_is_understood(text: str) -> None:
    with pytest.raises(WrongExpressionError):
        parse(text)


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        parse(text)
    except WrongExpressionError:
        return


def test_names_are_shown_as_the_product_writes_them() -> None:
    shown = parse("election_timeout >= 5 * heartbeat_interval").shown(
        {"election_timeout": "election-timeout", "heartbeat_interval": "heartbeat-interval"}
    )
    assert shown == "election-timeout >= 5 * heartbeat-interval"
