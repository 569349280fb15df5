"""systemd-timesyncd, asked over D-Bus by busctl (org.freedesktop.timesync1).

Not by timedatectl: that starts a timesyncd which does not run, and shows time stamps in whole seconds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from truechimer.codes import Leap
from truechimer.errors import DecodeError
from truechimer_agent.timedaemons.believed import Believed
from truechimer_agent.timedaemons.command import answer_of

if TYPE_CHECKING:
    from truechimer.readings import Clocks

US_PER_S = 1e6
NS_PER_US = 1000
PHI = 15e-6
"""By how much a clock may leave true time, a second: RFC 5905's frequency tolerance."""
SCALED_PPM = 65536.0
_MESSAGE = "(uuuuittayttttbtt)"
_MANAGER = "org.freedesktop.timesync1.Manager"
_MOST_US = 1 << 63


async def read() -> str:
    """All properties of timesyncd's manager as busctl's JSON; never starts a timesyncd."""
    return await answer_of(
        "busctl",
        "--auto-start=no",
        "--json=short",
        "call",
        "org.freedesktop.timesync1",
        "/org/freedesktop/timesync1",
        "org.freedesktop.DBus.Properties",
        "GetAll",
        "s",
        _MANAGER,
    )


def parse(text: str, wall_us: int) -> Believed:
    """The properties, W being ``wall_us`` µs of Unix time. Raises DecodeError.

    Its belief is the last exchange: the server's offset then, of which some part has been slewed since, and
    the root distance of RFC 5905, 11.2, aged by 15 ppm.
    """
    properties = _properties(text)
    frequency = _whole(_typed(properties, "Frequency", "x"), "Frequency", -_MOST_US) / SCALED_PPM
    poll_us = _whole(_typed(properties, "PollIntervalUSec", "t"), "PollIntervalUSec")
    message = _typed(properties, "NTPMessage", _MESSAGE)
    if not isinstance(message, list) or len(message) != len("lvmspDdrORTXijJ"):
        raise DecodeError(f"NTPMessage is {str(message)[:80]!r}")
    (
        leap,
        _,
        _,
        stratum,
        precision,
        delay_us,
        dispersion_us,
        _,
        sent,
        received,
        answered,
        back,
        ignored,
        _,
        jitter,
    ) = message
    leap, stratum = _whole(leap, "the leap", most=3), _whole(stratum, "the stratum", most=255)
    precision = _whole(precision, "the precision", -128, 127)
    delay_us, dispersion_us, sent, received, answered, back, jitter = (
        _whole(value, "NTPMessage")
        for value in (delay_us, dispersion_us, sent, received, answered, back, jitter)
    )
    if not back:
        # Nothing has come from any server yet.
        return Believed("timesyncd", Leap.UNSYNCHRONISED, 0, frequency_ppm=frequency, reachable_sources=0)
    age_us = max(0, wall_us - back)
    trip_us = max(0, (back - sent) - (answered - received))
    return Believed(
        daemon="timesyncd",
        leap=Leap(leap),
        stratum=stratum,
        # What it took for a spike and left aside is nothing that it believes.
        system_time_s=None if ignored is True else ((received - sent) + (answered - back)) / 2 / US_PER_S,
        root_delay_s=(delay_us + trip_us) / US_PER_S,
        root_dispersion_s=(dispersion_us + jitter + age_us * PHI) / US_PER_S + 2.0**precision,
        frequency_ppm=frequency,
        reachable_sources=int(age_us < 2 * poll_us),
    )


def _properties(text: str) -> dict[str, object]:
    try:
        document = json.loads(text)
        (properties,) = document["data"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DecodeError(f"no properties of timesyncd: {text[:80]!r}") from error
    if not isinstance(properties, dict):
        raise DecodeError(f"no properties of timesyncd: {text[:80]!r}")
    return properties


def _typed(properties: dict[str, object], name: str, signature: str) -> object:
    """The value of a property of this D-Bus type."""
    given = properties.get(name)
    if not isinstance(given, dict) or given.get("type") != signature or "data" not in given:
        raise DecodeError(f"{name} is {str(given)[:80]!r}, not of type {signature}")
    return given["data"]


def _whole(value: object, what: str, least: int = 0, most: int = _MOST_US) -> int:
    if type(value) is not int or not least <= value <= most:
        raise DecodeError(f"{what} is {str(value)[:40]!r}")
    return value


class Timesyncd:
    """systemd-timesyncd of this host."""

    name = "timesyncd"

    async def ask(self, clocks: Clocks) -> Believed:
        """What it believes now."""
        text = await read()
        return parse(text, clocks.read().wall_ns // NS_PER_US)
