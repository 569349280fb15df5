"""The committed dashboard and rules are what the code builds, and Grafana's own model reads them."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from dashboards.build import generated, main
from dashboards.host import SELECTOR, all_queries, expression
from dashboards.metrics import METRICS, metrics_in, refuse_unknown
from dashboards.panels import Query
from dashboards.rules import all_alerts
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from jsonschema import Draft7Validator

DASHBOARD = Path(__file__).parents[2] / "dashboards/grafana/truechimer-host.json"
# Grafana's JSON Schema of dashboards is not in the SDK's wheel: jsonschema/dashboard.jsonschema.json of the
# branch v11.6.x+cog-v0.0.x of github.com/grafana/grafana-foundation-sdk.
SCHEMA = "TRUECHIMER_GRAFANA_SCHEMA"


def board() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return loaded


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_the_committed_file_is_what_the_code_builds(path: Path):
    assert path.read_text() == generated()[path], "run python -m dashboards.build"


def test_check_agrees(capsys: pytest.CaptureFixture[str]):
    assert main(["--check"]) == 0
    assert capsys.readouterr().err == ""


def test_a_query_of_a_metric_that_no_sample_has_is_refused():
    with pytest.raises(ValueError, match="truechimer_bound_lower_second"):
        expression(Query("truechimer_bound_lower_second{HOST}"))
    with pytest.raises(ValueError, match="names no metric"):
        refuse_unknown("up == 0")


@pytest.mark.parametrize("query", all_queries(), ids=lambda query: query.expression[:60])
def test_every_query_names_only_metrics_and_labels_that_samples_have(query: Query):
    built = expression(query)
    assert metrics_in(built) <= set(METRICS)
    assert SELECTOR in built, "the choice of clusters and nodes is ignored"
    known = {"cluster", "node"}.union(*(METRICS[name] for name in metrics_in(built)))
    assert set(re.findall(r"{{(\w+)}}", query.legend)) <= known


@pytest.mark.parametrize("alert", all_alerts(), ids=lambda alert: alert.name)
def test_every_rule_names_only_metrics_and_labels_that_samples_have(alert):
    names = metrics_in(alert.expression)
    assert names <= set(METRICS)
    known = set.intersection(*(set(METRICS[name]) for name in names))
    assert set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.description)) <= known


def only_adds(before: Any, after: Any) -> bool:
    """Whether everything in ``before`` is in ``after``, defaults that ``after`` fills in left aside."""
    if isinstance(before, dict):
        return isinstance(after, dict) and all(
            key in after and only_adds(value, after[key]) for key, value in before.items()
        )
    if isinstance(before, list):
        return isinstance(after, list) and len(before) == len(after) and all(map(only_adds, before, after))
    return bool(before == after)


def test_grafanas_model_knows_every_key_of_the_dashboard():
    """Read by the SDK's model of Grafana 11.6 and written again, nothing is lost or changed."""
    register_default_plugins()
    again = json.loads(json.dumps(Dashboard.from_json(board()), cls=JSONEncoder))
    assert only_adds(board(), again)


@pytest.mark.skipif(not os.environ.get(SCHEMA), reason=f"{SCHEMA} names no JSON Schema of Grafana")
def test_the_dashboard_is_valid_by_grafanas_json_schema():
    schema = json.loads(Path(os.environ[SCHEMA]).read_text())
    # Its generator writes "anything" as "an object"; overrides hold strings and numbers.
    schema["definitions"]["DynamicConfigValue"]["properties"]["value"] = {}
    schema["definitions"]["MatcherConfig"]["properties"]["options"] = {}
    assert [f"{e.json_path}: {e.message}" for e in Draft7Validator(schema).iter_errors(board())] == []


def test_panels_have_their_own_numbers_and_places():
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
