"""HotSpot JVMs, read from outside through their performance data: docs/hotspot.md."""

from truechimer_agent.hotspot.reader import HotspotReader, open_runtime

__all__ = ["HotspotReader", "open_runtime"]
