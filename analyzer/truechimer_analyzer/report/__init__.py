"""Reports: the answers as a document for people."""

from __future__ import annotations

from truechimer_analyzer.report.html import page
from truechimer_analyzer.report.markdown import render
from truechimer_analyzer.report.parts import Parts

__all__ = ["Parts", "page", "render"]
