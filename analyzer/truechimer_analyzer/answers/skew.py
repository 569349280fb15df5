"""``skew``: how far apart any two clocks of a cluster can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truechimer_analyzer.skew import gathering
from truechimer_analyzer.skew.describing import describe
from truechimer_analyzer.skew.pairs import PAIRS_SHOWN
from truechimer_analyzer.skew.proving import prove
from truechimer_analyzer.skew.reading import clusters

if TYPE_CHECKING:
    from truechimer.config.model import LimitsConfig
    from truechimer_analyzer.reading import Reader
    from truechimer_analyzer.window import Question


def document(reader: Reader, question: Question, limits: LimitsConfig) -> dict[str, object]:
    """The contract's ``skew``; NotEnough where no cluster has a mesh."""
    window = question.window
    evidence = gathering.gather(reader)
    return {
        "clusters": [
            describe(
                prove(cluster, evidence, window.as_of_ns, question.k, live=window.open),
                evidence,
                window.as_of_ns,
                limits.max_skew_s if question.max_offset_s is None else question.max_offset_s,
                question.k,
                PAIRS_SHOWN if question.pairs is None else question.pairs,
                question.node,
            )
            for cluster in clusters(evidence)
            if question.node is None or question.node in cluster.names
        ]
    }
