"""InfluxDB line protocol: the form in which samples are spooled, sent and received.

Source: the InfluxDB v2 line protocol reference. Only what the data model uses is written: float and
integer fields; strings and booleans are refused on the way in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from truechimer.errors import DecodeError
from truechimer.samples import Sample, check

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PRECISIONS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
LINE_LIMIT = 64 * 1024
# The longest decimal form of a double that a writer without an exponent would use is 327 characters.
VALUE_LIMIT = 400
REFUSED_KEPT = 1000
_WHY_LIMIT = 300

_NEEDS_ESCAPE = re.compile(r"[,= \\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED = re.compile(r"\\([,= \\])")
# No two neighbouring repetitions take the same characters: the time is linear in the text.
_FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\Z", re.ASCII)
_INT = re.compile(r"[+-]?\d{1,19}i\Z", re.ASCII)
_TIME = re.compile(r"-?\d{1,20}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that was not taken: its 1-based number, its text (shortened) and why."""

    number: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a body held: the good samples in order, the first refused lines, and how many were refused."""

    samples: list[Sample]
    refused: list[RefusedLine]
    refused_count: int


def encode(sample: Sample) -> str:
    """One line, without its newline. Raises DecodeError when the sample breaks its declaration."""
    check(sample)
    tags = "".join(f",{_escape(key)}={_escape(value)}" for key, value in sorted(sample.tags.items()))
    fields = ",".join(
        f"{key}={value}i" if type(value) is int else f"{key}={value!r}"
        for key, value in sample.fields.items()
    )
    return f"{sample.measurement}{tags} {fields} {sample.time_ns}"


def encode_lines(samples: Iterable[Sample]) -> bytes:
    """Newline-terminated UTF-8 lines."""
    return "".join(encode(sample) + "\n" for sample in samples).encode()


def decode(body: bytes, *, precision: str = "ns") -> Decoded:
    """Parse a body of lines; a bad line is refused alone. ``precision`` is one of ns, us, ms, s.

    The first ``REFUSED_KEPT`` refused lines are kept, the others only counted. Time is linear in the body.
    """
    factor = PRECISIONS_NS[precision]
    samples: list[Sample] = []
    refused: list[RefusedLine] = []
    count = 0
    for number, raw in enumerate(_lines(body), start=1):
        line = raw.strip(b"\r ")
        if not line or line.startswith(b"#"):
            continue
        try:
            samples.append(decode_line(line.decode(), factor))
        except (UnicodeDecodeError, DecodeError) as error:
            count += 1
            if count <= REFUSED_KEPT:
                refused.append(_refusal(number, line, error))
    return Decoded(samples, refused, count)


def _lines(body: bytes) -> Iterator[bytes]:
    """The lines one by one: a list of millions of them would take far more room than the body."""
    start = 0
    while (end := body.find(b"\n", start)) >= 0:
        yield body[start:end]
        start = end + 1
    yield body[start:]


def _refusal(number: int, line: bytes, error: UnicodeDecodeError | DecodeError) -> RefusedLine:
    if isinstance(error, UnicodeDecodeError):
        return RefusedLine(number, repr(line[:120])[2:-1], "not UTF-8")
    return RefusedLine(number, line[:120].decode(errors="replace"), str(error)[:_WHY_LIMIT])


def decode_line(line: str, factor: int = 1) -> Sample:
    """One line to a checked sample; ``factor`` is nanoseconds per unit of its timestamp."""
    if len(line) > LINE_LIMIT:
        raise DecodeError(f"line longer than {LINE_LIMIT} characters")
    head, body, stamp = _three_parts(line)
    measurement, tags = _key(head)
    fields: dict[str, float | int] = {}
    for part in body.split(","):
        name, separator, text = part.partition("=")
        if not separator or not name:
            raise DecodeError(f"field {part[:40]!r} is not name=value")
        if name in fields:
            raise DecodeError(f"field {name!r} occurs twice")
        fields[name] = _value(name, text)
    if not _TIME.match(stamp):
        raise DecodeError(f"timestamp {stamp[:40]!r} is not an integer")
    sample = Sample(measurement, tags, fields, int(stamp) * factor)
    check(sample)
    return sample


def _escape(text: str) -> str:
    if _CONTROL.search(text) or not text:
        raise DecodeError(f"{text!r} cannot be a tag: empty, or with control characters")
    return _NEEDS_ESCAPE.sub(lambda match: "\\" + match.group(), text)


def _three_parts(line: str) -> tuple[str, str, str]:
    end = _next_unescaped(line, " ", 0)
    if end < 0:
        raise DecodeError("no fields: a line is 'measurement,tags fields time'")
    rest = [part for part in line[end + 1 :].split(" ") if part]
    if len(rest) == 1:
        raise DecodeError("no timestamp: samples carry their own time")
    if len(rest) != 2:
        raise DecodeError("expected 'measurement,tags fields time'")
    return line[:end], rest[0], rest[1]


def _next_unescaped(text: str, wanted: str, start: int) -> int:
    index = start
    while index < len(text):
        character = text[index]
        if character == "\\":
            index += 2
            continue
        if character == wanted:
            return index
        index += 1
    return -1


def _split_unescaped(text: str, separator: str) -> list[str]:
    if "\\" not in text:
        return text.split(separator)
    parts = []
    start = 0
    while (end := _next_unescaped(text, separator, start)) >= 0:
        parts.append(text[start:end])
        start = end + 1
    parts.append(text[start:])
    return parts


def _unescape(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _key(head: str) -> tuple[str, dict[str, str]]:
    name, *pairs = _split_unescaped(head, ",")
    tags: dict[str, str] = {}
    for pair in pairs:
        parts = _split_unescaped(pair, "=")
        if len(parts) != 2 or not parts[0] or not parts[1]:
            raise DecodeError(f"tag {pair[:40]!r} is not name=value")
        key, value = _unescape(parts[0]), _unescape(parts[1])
        if key in tags:
            raise DecodeError(f"tag {key!r} occurs twice")
        if _CONTROL.search(value):
            raise DecodeError(f"tag {key!r} has control characters")
        tags[key] = value
    return _unescape(name), tags


def _value(name: str, text: str) -> float | int:
    if _INT.match(text):
        return int(text[:-1])
    if len(text) <= VALUE_LIMIT and _FLOAT.match(text):
        return float(text)
    raise DecodeError(f"field {name!r} is {text[:40]!r}: neither a float nor an integer with i")
