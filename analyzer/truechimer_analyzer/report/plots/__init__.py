"""Plots as inline SVG, from the contract's documents alone; colours and type are the page's style sheet's."""

from __future__ import annotations

from truechimer_analyzer.report.plots.frontier import frontier
from truechimer_analyzer.report.plots.percentiles import Line, percentiles

__all__ = ["Line", "frontier", "percentiles"]
