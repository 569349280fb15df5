"""A real VictoriaMetrics, filled with line protocol of every measurement, answers every query with data."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from dashboards.host import all_queries, expression
from dashboards.metrics import METRICS
from dashboards.panels import Query
from dashboards.rules import all_alerts
from lab.harness import VictoriaMetrics, this_machine

from truechimer.lineprotocol import encode_lines
from truechimer.samples import MEASUREMENTS, Field, Measurement, Sample

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("dashboards_victoria")]

# An hour of the past: VictoriaMetrics hides the newest 30 s from queries.
END_S = 1_700_000_000
SPAN_S = 900
TAGS = {"kind": "step", "via": "tcp", "cause": "steal", "source": "host", "runtime": "host"}
NODES = ("db-1", "db-2")


def value(field: Field, number: int) -> float | int:
    if field.is_counter or field.name == "samples_total":
        return number * 7 if field.kind == "int" else number * 0.25
    if field.kind == "int":
        return 1
    return -0.001 if field.name.startswith("lower") else 0.002 + number * 1e-6


def sample(measurement: Measurement, node: str, number: int) -> Sample:
    tags = {tag: TAGS.get(tag, f"some-{tag}") for tag in measurement.tags}
    fields = {field.name: value(field, number) for field in measurement.fields}
    if measurement.name == "truechimer_rtt" and number % 10 == 0:
        del fields["rtt_seconds"]
    time_ns = (END_S - SPAN_S + number * 10) * 1_000_000_000
    return Sample(measurement.name, {"cluster": "prod", "node": node, **tags}, fields, time_ns)


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """A store that holds 15 minutes of every measurement of two nodes."""
    with VictoriaMetrics(this_machine(), tmp_path_factory.mktemp("victoria")) as store:
        samples = [
            sample(measurement, node, number)
            for measurement in MEASUREMENTS.values()
            for node in NODES
            for number in range(SPAN_S // 10 + 1)
        ]
        store.write(encode_lines(samples).decode())
        store.flush()
        yield store


def asked(store: VictoriaMetrics, query: str) -> list[dict[str, Any]]:
    for name, standing in (
        ("$cluster", ".+"),
        ("$node", ".+"),
        ("$__rate_interval", "1m"),
        ("$__interval", "30s"),
    ):
        query = query.replace(name, standing)
    span = {"start": END_S - 300, "end": END_S, "step": 30, "nocache": 1}
    answer = store.request("GET", "/api/v1/query_range?" + urlencode({"query": query, **span}))
    assert answer.status == 200, answer.body
    document = answer.json()
    assert document["status"] == "success"
    result: list[dict[str, Any]] = document["data"]["result"]
    return result


def test_the_store_names_metrics_as_the_dashboard_does(victoria: VictoriaMetrics):
    assert {series.labels["__name__"] for series in victoria.export()} == set(METRICS)


@pytest.mark.parametrize("query", all_queries(), ids=lambda query: query.expression[:70])
def test_the_query_returns_data(victoria: VictoriaMetrics, query: Query):
    result = asked(victoria, expression(query))
    assert result, f"no data: {expression(query)}"
    if "{{node}}" in query.legend:
        assert {series["metric"]["node"] for series in result} == set(NODES)


def test_the_share_of_unanswered_probes_is_right(victoria: VictoriaMetrics):
    """One probe in ten has no round trip."""
    query = next(query for query in all_queries() if "0 * (min_over_time" in query.expression)
    result = asked(victoria, expression(query).replace("$__rate_interval", "200s"))
    assert {round(float(text), 3) for series in result for _, text in series["values"]} == {0.1}


@pytest.mark.parametrize("alert", all_alerts(), ids=lambda alert: alert.name)
def test_the_rule_can_be_evaluated_there_too(victoria: VictoriaMetrics, alert):
    asked(victoria, alert.expression)
