"""The configuration: one frozen tree from TOML; unknown keys are refused with the nearest one named.

``load_agent(path)`` and ``load_analyzer(path)`` give :class:`Loaded`; a wrong file raises
:class:`truechimer.errors.ConfigError` that names every problem in it.
"""

from __future__ import annotations

from truechimer.config.addresses import (
    duration_s,
    format_address,
    host_name,
    listen_address,
    peer_address,
)
from truechimer.config.loading import (
    Loaded,
    load_agent,
    load_analyzer,
    parse_agent,
    parse_analyzer,
)
from truechimer.config.model import AgentConfig, AnalyzerConfig
from truechimer.config.writing import to_toml

__all__ = [
    "AgentConfig",
    "AnalyzerConfig",
    "Loaded",
    "duration_s",
    "format_address",
    "host_name",
    "listen_address",
    "load_agent",
    "load_analyzer",
    "parse_agent",
    "parse_analyzer",
    "peer_address",
    "to_toml",
]
