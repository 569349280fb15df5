"""Distributions of delays: counted in buckets that merge, convolved on a grid, resampled in blocks."""

from __future__ import annotations

from truechimer_analyzer.distributions.bootstrap import block_bootstrap
from truechimer_analyzer.distributions.convolution import Component, convolve
from truechimer_analyzer.distributions.histogram import Histogram, histograms

__all__ = ["Component", "Histogram", "block_bootstrap", "convolve", "histograms"]
