"""Values of settings: read from what a product's file says, rounded, and written as it writes them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from truechimer_analyzer.advice.expressions import UNIT_S

if TYPE_CHECKING:
    from truechimer_analyzer.advice.schema import Setting

_NUMBER = re.compile(r"[+-]?\d+(?:_\d+)*(?:\.\d+)?")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zµ]+)")
_SUFFIX_S = {
    "us": 1e-6,
    "µs": 1e-6,
    "microseconds": 1e-6,
    "ms": 1e-3,
    "millis": 1e-3,
    "milliseconds": 1e-3,
    "millisecond": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "secs": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "d": 86_400.0,
    "day": 86_400.0,
    "days": 86_400.0,
}
_GO_S = {"Microsecond": 1e-6, "Millisecond": 1e-3, "Second": 1.0, "Minute": 60.0, "Hour": 3600.0}
_GO_WRITTEN = {"us": "Microsecond", "ms": "Millisecond", "s": "Second", "min": "Minute", "h": "Hour"}
_GO = re.compile(r"(?:(\d{1,18})\s*\*\s*)?time\.([A-Z]\w*)(?:\s*\*\s*(\d{1,18}))?")
_WRITTEN = {"us": "us", "ms": "ms", "s": "s", "min": "m", "h": "h", "d": "d"}
_DIGITS = 2
_LARGEST = 1e18
# A value that differs by less than this share from a round one is that round one.
_SAME = 1e-9


class WrongValueError(ValueError):
    """The text is no value of the setting; the message says what one looks like."""


def read_value(setting: Setting, text: str) -> float:
    """What a product's file says, in the setting's unit; WrongValueError where it is no such value.

    A suffix is refused where the product takes bare numbers, and asked for where it takes none.
    """
    plain = text.strip()
    bare = bool(_NUMBER.fullmatch(plain))
    if setting.unit == "" or setting.notation == "number":
        if not bare:
            raise WrongValueError(f"{text!r} is no number{_of(setting)}")
        value = float(plain.replace("_", ""))
    elif bare and (setting.notation == "either" or float(plain) == 0):
        value = float(plain.replace("_", ""))
    elif setting.notation == "go" and (found := _GO.fullmatch(plain)) and found.group(2) in _GO_S:
        value = int(found.group(1) or 1) * int(found.group(3) or 1) * _GO_S[found.group(2)] / setting.scale
    else:
        value = _length_s(plain) / setting.scale
    if not abs(value) <= _LARGEST:
        raise WrongValueError(f"{text!r} is beyond all measure")
    if setting.integer and not math.isclose(value, round(value), rel_tol=_SAME, abs_tol=_SAME):
        raise WrongValueError(f"{text!r} is no whole number{_of(setting)}")
    return round(value) if setting.integer else value


def write_value(setting: Setting, value: float) -> str:
    """A value in the setting's unit, as the product writes it."""
    number = plain_number(value)
    if setting.unit == "" or setting.notation == "number":
        return number
    if setting.notation == "go":
        return f"{number} * time.{_GO_WRITTEN[setting.unit]}"
    return f"{number}{' ' if setting.notation == 'spaced' else ''}{_WRITTEN[setting.unit]}"


def plain_number(value: float) -> str:
    """A number without an exponent, of at most six decimals."""
    if math.isclose(value, round(value), rel_tol=_SAME):
        return str(round(value))
    return f"{value:.6f}".rstrip("0").rstrip(".")


def round_up(setting: Setting, value: float) -> float:
    """The next value, in the unit, that is fit to be written down and not below ``value``.

    Two significant digits; whole, or a multiple of the step, where the setting asks for it.
    """
    return -_rounded_down(setting, -value)


def round_down(setting: Setting, value: float) -> float:
    """The same, not above ``value``."""
    return _rounded_down(setting, value)


def shown_s(value: float) -> str:
    """A length of time in the unit that suits it, to three digits."""
    size = abs(value)
    for factor, unit in ((1e-6, "ns"), (1e-3, "µs"), (1.0, "ms")):
        if 0 < size < factor * 0.9995:
            return f"{value / (factor / 1000):.3g} {unit}"
    if size < 120:
        return f"{value:.3g} s"
    for limit, divisor, unit in ((7200.0, 60.0, "min"), (172_800.0, 3600.0, "h")):
        if size < limit:
            return f"{value / divisor:.3g} {unit}"
    return f"{value / 86_400:.3g} d"


def shown(setting: Setting, value_s: float) -> str:
    """A setting's value in seconds (or plain), as a reader wants it."""
    return plain_number(float(f"{value_s:.4g}")) if setting.unit == "" else shown_s(value_s)


def same(left: float | None, right: float | None) -> bool:
    """Equal but for a float's error; two unset values are the same."""
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=_SAME, abs_tol=1e-12)


def _rounded_down(setting: Setting, value: float) -> float:
    if value == 0 or not math.isfinite(value):
        return value
    grain = 10.0 ** (math.floor(math.log10(abs(value))) - _DIGITS + 1)
    if setting.step is not None:
        grain = setting.step
    elif setting.integer:
        grain = max(1.0, grain)
    multiples = value / grain
    whole = round(multiples)
    if not math.isclose(multiples, whole, rel_tol=_SAME):
        whole = math.floor(multiples)
    rounded = whole * grain
    return round(rounded) if setting.integer and rounded == int(rounded) else round(rounded, 9)


def _length_s(text: str) -> float:
    # Units are written small wherever they are: 1M is a month to nginx, and nothing to others.
    parts = list(_PART.finditer(text))
    rest = _PART.sub("", text).strip()
    if not parts or rest or any(part.group(2) not in _SUFFIX_S for part in parts):
        raise WrongValueError(f"{text!r} is no length of time with its unit, like 500ms or 10s")
    return sum(float(part.group(1)) * _SUFFIX_S[part.group(2)] for part in parts)


def _of(setting: Setting) -> str:
    return f" of {setting.unit}" if setting.unit in UNIT_S else ""
