"""Every product's file: figures have sources, defaults keep the rules, snippets read back, versions load."""

import re

import pytest

from truechimer_analyzer.advice.current import read_present
from truechimer_analyzer.advice.describing import snippet
from truechimer_analyzer.advice.engine import Wish, advise
from truechimer_analyzer.advice.loading import load, product_names
from truechimer_analyzer.advice.measured import Measured, Stream
from truechimer_analyzer.advice.present import effective, in_unit, resolve
from truechimer_analyzer.advice.schema import PLACEHOLDER, Product
from truechimer_analyzer.advice.scope import Scope

EVERY = [(name, version) for name in product_names() for version in load(name).versions]


def calm(scale: float = 1.0) -> Measured:
    """A quiet network: round trips of a millisecond, silences a little longer than the interval."""
    late_s = 0.05 * scale

    def false_per_month(_: float, timeout_s: float) -> float:
        return 0.1 if timeout_s > late_s else 1e6

    silence = Stream(lambda every_s: every_s + late_s, false_per_month)
    reply = Stream(lambda _: late_s, false_per_month)
    return Measured(
        rtt_p99_s=0.002 * scale,
        rtt_max_s=0.01 * scale,
        rtt_mean_max_s=0.001 * scale,
        one_way_s=0.01 * scale,
        pause_max_s=0.05 * scale,
        fsync_p99_s=0.005 * scale,
        epsilon_s=0.001 * scale,
        reply_s=0.05 * scale,
        connect_s=0.06 * scale,
        silence=silence,
        reply=reply,
        connect=reply,
    )


@pytest.fixture(params=EVERY, ids=lambda each: f"{each[0]}@{each[1]}")
def product(request: pytest.FixtureRequest) -> Product:
    return load(*request.param)


def test_every_figure_and_rule_names_where_it_was_read(product: Product) -> None:
    """A source is a file, page or proposal: words alone are none."""
    sources = [each.source for each in product.settings.values()]
    sources += [
        bound.source for each in product.settings.values() for bound in (each.at_least, each.at_most) if bound
    ]
    sources += [each.source for each in (*product.constraints, *product.clamps, *product.figures)]
    if product.prediction is not None:
        parts = (product.prediction.detect, product.prediction.elect, product.prediction.reconnect)
        sources += [product.prediction.source, *(part.source for part in parts if part)]
    for source in sources:
        assert re.search(r"[\w-]\.\w|/|[A-Z]{2,}-\d|RFC|\(\d\)|[A-Z]\w+[A-Z]\w", source), source


def test_defaults_keep_the_products_own_rules(product: Product) -> None:
    """Or the exception is documented; rules on what was measured are kept in a quiet network."""
    scope = Scope(calm(), resolve(product, {}))
    for constraint in product.constraints:
        state = scope.state(constraint.rule)
        if constraint.expected is None:
            assert state != "violated", constraint.rule.text
        else:
            assert state == "violated", f"{constraint.rule.text}: no exception is needed"
    for setting in product.settings.values():
        default = in_unit(setting, resolve(product, {})[setting.key])
        if default is not None:
            assert setting.least is None or default >= setting.least, setting.name
            assert setting.most is None or default <= setting.most, setting.name
    assert effective(product, resolve(product, {}))[1] == []


def test_in_a_quiet_network_nothing_has_to_be_changed(product: Product) -> None:
    """Vendors' defaults suit a calm local network, save documented exceptions and what is unset."""
    advice = advise(product, calm(0.1), {}, Wish(1.0))
    assert advice.verdict in {"keep", "tune"}, advice.problems or advice.missing
    documented = {name for each in product.constraints if each.expected for name in each.rule.names}
    changed = {each.setting.key for each in advice.choices if each.changed and each.current is not None}
    assert changed <= documented


def test_advice_keeps_every_rule_or_says_what_to_fix(product: Product) -> None:
    """From a quiet network to one a thousand times worse: no advice violates a rule in silence."""
    for scale in (1.0, 10.0, 100.0, 1000.0):
        advice = advise(product, calm(scale), {}, Wish(1.0))
        assert advice.verdict in {"keep", "tune", "fix_first"}
        if advice.verdict != "fix_first":
            assert all(each.advised != "violated" for each in advice.constraints)
            for choice in advice.choices:
                assert choice.least is None or choice.advised is None or choice.advised >= choice.least


def test_without_evidence_the_advice_says_what_is_missing(product: Product) -> None:
    advice = advise(product, Measured(), {}, Wish(1.0))
    asks = any(each.at_least or each.at_most for each in product.settings.values())
    if asks and advice.verdict not in {"keep", "fix_first"}:
        assert advice.verdict == "insufficient_data"
        assert advice.missing
        assert advice.advised is None


def test_the_snippet_reads_back_to_the_same_values(product: Product) -> None:
    """In the product's own format; what belongs into programs may stand in a comment of a file."""
    for scale in (0.1, 20.0):
        advice = advise(product, calm(scale), {}, Wish(1.0))
        written = snippet(product, advice.values)
        read = read_present(written, (product,))
        assert read.product == product.product
        for key, value in read.settings.items():
            told = in_unit(product.settings[key], advice.values[key])
            assert value == pytest.approx(told), key
        named = {key for key, _ in PLACEHOLDER.findall(product.snippet.template)} & set(product.settings)
        unread = named - set(read.settings)
        for key in unread:
            setting = product.settings[key]
            assert advice.values[key] is None or setting.kind == "code", key


def test_predictions_can_be_reckoned(product: Product) -> None:
    forecast = advise(product, calm(), {}, Wish(1.0)).current
    if product.prediction is None:
        return
    unset = [each.name for each in product.settings.values() if each.default is None]
    assert unset or forecast.detect is not None
    if forecast.failover is not None:
        assert 0 <= forecast.failover.least <= forecast.failover.mean <= forecast.failover.most
