"""Round trips per path: percentiles of the replies, losses by direction, what was no reply apart."""

from truechimer_analyzer.rtt.evidence import Evidence, gather
from truechimer_analyzer.rtt.paths import describe
from truechimer_analyzer.rtt.percentiles import curve, percentiles

__all__ = ["Evidence", "curve", "describe", "gather", "percentiles"]
