"""A product as data: which settings it has, what binds them, and what it does with them itself.

One TOML file a product, ``products/NAME.toml``. docs/advice.md describes every key with an example::

    product, title, versions, binds, notes, reads
    [settings.KEY]      name aliases unit kind notation integer default min max off step safety what
                        source since before
      [.at_least] [.at_most]   rule why source
      [[.changes]]      before, and any of the keys above that older versions had different
    [[constraints]]     rule message source since before expected
    [[clamps]]          setting when becomes message source since before
    [prediction]        alarm every timeout source
      [.detect] [.elect] [.reconnect]   min mean max source
    [[figures]]         name unit rule source since before
    [snippet]           format file template

Figures are in the setting's own unit; rules are expressions (``expressions``) in which every duration is in
seconds whatever the setting's unit. Every figure and rule has a ``source``: a file or page and its version.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from truechimer_analyzer.advice.expressions import UNIT_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from truechimer_analyzer.advice.expressions import Expression

QUANTITIES: Mapping[str, str] = {
    "rtt_p99_s": "the 99th percentile of round trips, of the worst path",
    "rtt_max_s": "the longest round trip",
    "rtt_mean_max_s": "the longest mean round trip of any path",
    "one_way_s": "the longest one-way delay, at most",
    "pause_max_s": "the longest pause of any member",
    "fsync_p99_s": "the 99th percentile of an fsync, of the worst disk",
    "epsilon_s": "how far apart two wall clocks can be, proven",
    "reply_s": "the request timeout that meets the target at the rate asked for",
    "connect_s": "the connect timeout that meets the target at the rate asked for",
}
"""Measured numbers that rules may name; each may be unknown, and then what needs it says so."""

SHOWN: Mapping[str, str] = {
    "rtt_p99_s": "p99 RTT",
    "rtt_max_s": "longest RTT",
    "rtt_mean_max_s": "mean RTT",
    "one_way_s": "one-way delay",
    "pause_max_s": "longest pause",
    "fsync_p99_s": "p99 fsync",
    "epsilon_s": "clock skew",
    "reply_s": "request timeout",
    "connect_s": "connect timeout",
}
"""The same quantities as people read them in rules and reasons."""

EVIDENCE: Mapping[str, str] = {
    "silence": "silence(every): the shortest timeout on hearing nothing, of heartbeats sent every so many "
    "seconds, that raises no more false alarms a month than tolerated",
    "reply": "reply(every): the shortest timeout on one round trip, of requests made every so many seconds",
    "connect": "connect(every): the same for opening connections",
}
"""Functions of the evidence: seconds to seconds, for the tolerated false alarms a month."""

BINDS = ("rtt", "silence", "pause", "fsync", "epsilon", "reply", "connect", "one_way")
"""``binds``: which of what is measured decides a product's settings, for people and for the documentation."""

KINDS: Mapping[str, str] = {
    "config": "the product's configuration file",
    "flag": "its command line",
    "env": "an environment variable",
    "dynamic": "settings held by the running cluster itself",
    "code": "the program that uses the library",
    "sysctl": "the kernel",
    "fixed": "compiled in: shown and used, never advised",
}
PLACEHOLDER = re.compile(r"\{(\w+)(\.name)?\}")
"""In templates of snippets: {setting} is its value, {setting.name} its name, which versions may change."""
UNITS = (*UNIT_S, "")
NOTATIONS: Mapping[str, str] = {
    "number": "a bare number of the unit",
    "duration": "a number with its unit, like 500ms or 1m30s (Go, YAML)",
    "spaced": "a number, a blank and the unit, like 500 ms (HOCON)",
    "either": "a bare number of the unit, or one with a unit; written with the unit",
    "go": "a Go expression, like 500 * time.Millisecond",
}
ALARMS: Mapping[str, str] = {
    "silence": "a live peer's heartbeats, sent every `every`, are not heard for `timeout`",
    "reply": "a request, made every `every`, has no reply within `timeout`",
    "connect": "a connection, opened every `every`, is not there within `timeout`",
}
FORMATS = (
    "yaml",
    "properties",
    "ini",
    "conf",
    "flags",
    "env",
    "sysctl",
    "hocon",
    "toml",
    "json",
    "xml",
    "code",
)
"""Of snippets. flags: one ``--name=value`` a line; env: ``NAME=value``; conf: ``name value`` a line."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The least or the most of a setting: ``rule`` in seconds (or plain), why, and who says so."""

    rule: Expression
    why: str
    source: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it is in one version; ``default``, ``least`` and ``most`` are in ``unit``.

    ``default`` is an Expression where it follows other settings (then in seconds, as every expression),
    None where the setting is unset. ``scale`` turns the unit into seconds.
    """

    key: str
    name: str
    aliases: tuple[str, ...]
    unit: str
    kind: str
    notation: str
    integer: bool
    default: float | Expression | None
    least: float | None
    most: float | None
    off: float | None
    step: float | None
    safety: bool
    what: str
    source: str
    at_least: Bound | None
    at_most: Bound | None

    @property
    def scale(self) -> float:
        """Seconds in a unit; 1 for a plain number."""
        return UNIT_S.get(self.unit, 1.0)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A rule that settings keep; ``expected`` documents why the product's own defaults do not."""

    rule: Expression
    message: str
    source: str
    expected: str | None


@dataclass(frozen=True, slots=True)
class Clamp:
    """What the product makes of a setting without a word: where ``when`` holds it ``becomes`` that."""

    setting: str
    when: Expression
    becomes: Expression
    message: str
    source: str


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a failover's budget, seconds."""

    least: Expression
    mean: Expression
    most: Expression
    source: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """How false alarms arise, and how long a failover takes: detect + elect + reconnect."""

    alarm: Literal["silence", "reply", "connect"]
    every: Expression
    timeout: Expression
    source: str
    detect: Part
    elect: Part | None
    reconnect: Part | None


@dataclass(frozen=True, slots=True)
class Figure:
    """What the settings amount to, in words of the product's: ``rule`` in seconds, or plain without unit."""

    name: str
    unit: str
    rule: Expression
    source: str


@dataclass(frozen=True, slots=True)
class Snippet:
    """What to paste, and where; ``template`` holds {setting}s."""

    format: str
    file: str
    template: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it is in ``version``; ``reads`` are the formats that its present settings come in."""

    product: str
    title: str
    version: str
    versions: tuple[str, ...]
    binds: tuple[str, ...]
    reads: tuple[str, ...]
    notes: str
    settings: Mapping[str, Setting]
    constraints: tuple[Constraint, ...]
    clamps: tuple[Clamp, ...]
    prediction: Prediction | None
    figures: tuple[Figure, ...]
    snippet: Snippet

    @property
    def checked(self) -> bool:
        """Whether its figures were checked for this version, or for one that this is a release of."""
        return any(self.version == each or self.version.startswith(f"{each}.") for each in self.versions)

    @property
    def names(self) -> Mapping[str, str]:
        """Settings' names as the product writes them, and quantities' for people, by those in expressions."""
        return {**SHOWN, **{key: setting.name for key, setting in self.settings.items()}}
