"""The host dashboard: its rows in order, and every query of it."""

from __future__ import annotations

from dashboards.clock_panels import CLOCK, FLEET
from dashboards.delay_panels import AGENT, NETWORK, PAUSES
from dashboards.metrics import refuse_unknown
from dashboards.panels import Query
from dashboards.process_panels import WATCHED

SELECTOR = 'cluster=~"$cluster",node=~"$node"'
ROWS = (FLEET, CLOCK, PAUSES, WATCHED, NETWORK, AGENT)
EVENTS = Query('truechimer_clock_event_size_seconds{HOST,kind!="agent_start"}')


def all_queries() -> tuple[Query, ...]:
    """Every query of the dashboard, annotations included."""
    return (*(query for row in ROWS for panel in row.panels for query in panel.queries), EVENTS)


def expression(query: Query) -> str:
    """The query's PromQL with its selector. Raises ValueError when it names a metric that no sample has."""
    text = query.expression.replace("{HOST", "{" + SELECTOR)
    refuse_unknown(text)
    return text
