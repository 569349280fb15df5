"""The host dashboard's data (:mod:`dashboards.host`) to Grafana's JSON, by grafana-foundation-sdk."""

from __future__ import annotations

import json
from itertools import count
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

from dashboards.host import EVENTS, ROWS, expression

if TYPE_CHECKING:
    from enum import IntEnum

    from dashboards.panels import Panel, Query

    AnyPanel = timeseries.Panel | stat.Panel | statetimeline.Panel

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
# Samples come every 10 s; a finer step would only show gaps.
SMALLEST_STEP = "10s"


def dashboard_json() -> str:
    """The whole dashboard as it is committed."""
    board = (
        dashboard_builders.Dashboard("truechimer: hosts")
        .uid("truechimer-hosts")
        .description(
            "How wrong each clock can be, what was done to it, how long hosts pause and networks delay."
        )
        .tags(["truechimer", "time"])
        .timezone("utc")
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(
            dashboard_builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
        )
        .with_variable(_variable("cluster", "Cluster", "label_values(truechimer_bound_status, cluster)"))
        .with_variable(
            _variable("node", "Node", 'label_values(truechimer_bound_status{cluster=~"$cluster"}, node)')
        )
        .annotation(
            dashboard_builders.AnnotationQuery()
            .name("Clock events")
            .datasource(SOURCE)
            .enable(True)
            .icon_color("orange")
            .expr(expression(EVENTS))
        )
    )
    numbers = count(1)
    for row in ROWS:
        board = board.with_row(dashboard_builders.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            board = board.with_panel(_panel(panel).id(next(numbers)))
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _variable(name: str, label: str, query: str) -> dashboard_builders.QueryVariable:
    return (
        dashboard_builders.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
    )


def _panel(panel: Panel) -> AnyPanel:
    built: AnyPanel
    match panel.kind:
        case "number":
            built = _number(panel)
        case "states":
            built = _states(panel)
        case _:
            built = _series(panel)
    built = (
        built.title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(panel.height)
        .interval(SMALLEST_STEP)
        .targets([_target(query, index) for index, query in enumerate(panel.queries)])
    )
    if panel.per_node:
        built = built.repeat("node").repeat_direction("h").max_per_row(2)
    return built


def _target(query: Query, index: int) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .expr(expression(query))
        .legend_format(query.legend or "__auto")
        .ref_id(chr(ord("A") + index))
        .datasource(SOURCE)
        .range()
    )


def _number(panel: Panel) -> stat.Panel:
    steps = [models.Threshold(value=0, color="green")]
    if panel.bad_from is not None:
        steps.append(models.Threshold(value=panel.bad_from, color="red"))
    thresholds = dashboard_builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)
    latest = common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    return stat.Panel().thresholds(thresholds).reduce_options(latest)


def _states(panel: Panel) -> statetimeline.Panel:
    assert panel.codes is not None, panel.title
    return statetimeline.Panel().mappings([_names(panel.codes)]).show_value(common.VisibilityMode.AUTO)


def _names(codes: type[IntEnum]) -> models.ValueMap:
    options = {
        str(code.value): models.ValueMappingResult(text=code.name.lower(), index=index)
        for index, code in enumerate(codes)
    }
    return models.ValueMap(options=options)


def _series(panel: Panel) -> timeseries.Panel:
    built = timeseries.Panel().legend(
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    if panel.kind == "points":
        return built.draw_style(common.GraphDrawStyle.POINTS).point_size(8)
    if panel.kind == "bars":
        return built.draw_style(common.GraphDrawStyle.BARS).fill_opacity(60)
    if panel.band is not None:
        upper, lower = panel.band
        fill = [
            models.DynamicConfigValue(id_val="custom.fillBelowTo", value=lower),
            models.DynamicConfigValue(id_val="custom.fillOpacity", value=20),
        ]
        built = built.override_by_name(upper, fill)
    return built
