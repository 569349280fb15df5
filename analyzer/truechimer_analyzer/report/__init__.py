"""Reports: the answers as a document for people."""

from __future__ import annotations

from truechimer_analyzer.report.markdown import render

__all__ = ["render"]
