"""Formats of configuration files as lines of words, each with its number.

A keyed line is (dotted key, value); a line of words is as the file has it. Comments are gone, quotes too.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truechimer.errors import UserError
from truechimer_analyzer.advice.current import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ENV = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_FLAG = re.compile(r"--?([A-Za-z][\w.-]*)(?:=(.*))?", re.DOTALL)
_XML = re.compile(r"<(?:property\s+name=[\"'])?([\w.:-]+)[\"']?\s*>\s*([^<>\s][^<>]*?)\s*<")
_XML_REMARK = re.compile(r"<!--[\s\S]*?(?:-->|\Z)")
# All of a sum or product: half of one is another value.
_CODE = re.compile(
    r"([\w.-]+)[\"']?(?:[ \t]*(?:[=:,(]|=>|:=)[ \t]*|[ \t]+TO[ \t]+)(?:Number(?:Long|Int)\()?[\"']?"
    r"((?:\d[\w.]*(?:[ ](?:us|ms|s|min|h|d)\b)?|time\.[A-Z]\w*)(?:[ \t]*[-+*/][ \t]*[\w.(]+)*)"
)
_REMARK = re.compile(r"(?:^|(?<=\s))(?:#|//|--\s)[^\n]*|/\*[\s\S]*?(?:\*/|\Z)")
_FACTORS = re.compile(r"(?:(?:\d{1,18}|time\.[A-Z]\w*)\s*(?:\*\s*|\Z)){2,}")
_REMARKED = frozenset("#!;")
_UNSET = frozenset({"", "~", "null"})
_KEYED = re.compile(r"([^\s=:]+)\s*(?:[=:]\s*|\s)(.*)")


@dataclass(frozen=True, slots=True)
class Line:
    """Words of one line; ``keyed`` where they are a dotted key and its value.

    ``section`` is the part of the file that it is in: the same name in another one is another value.
    """

    words: tuple[str, ...]
    number: int
    keyed: bool
    section: str = ""


def read_lines(text: str, file_format: str) -> list[Line]:
    """The lines of a text in one of ``schema.FORMATS``; UserError where it is no such text."""
    return list(_READERS[file_format](text))


def _yaml(text: str) -> Iterator[Line]:
    try:
        import yaml
    except ImportError as error:  # pragma: no cover - the analyzer's extra has it
        raise UserError("reading YAML needs PyYAML", hint="pip install 'truechimer[analyzer]'") from error
    try:
        documents = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise UserError(f"{where}{getattr(error, 'problem', None) or 'no YAML'}") from error
    except RecursionError as error:
        raise UserError("nested too deeply to be a configuration") from error
    for document in documents:
        if document is not None:
            yield from _nodes(document, f"document of line {document.start_mark.line + 1}")


def _nodes(node: Any, document: str) -> Iterator[Line]:  # noqa: ANN401 - PyYAML's nodes
    """Scalars by their path; words of lists (a container's command) also as flags. Aliases count once.

    Each document and each item of a list is a section of its own.
    """
    stack: list[tuple[Any, str, str]] = [(node, "", document)]
    seen: set[int] = set()
    while stack:
        each, where, part = stack.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        if each.id == "mapping":
            yield from _named_value(each, part)
            for key, value in reversed(each.value):
                stack.append((value, f"{where}.{key.value}" if where else str(key.value), part))
        elif each.id == "sequence":
            texts = [(item.value, item.start_mark.line + 1) for item in each.value if item.id == "scalar"]
            words = [(word, line) for text, line in texts for word in _split(text)]
            section = f"list of line {each.start_mark.line + 1}"
            yield from _pairs(words, section)
            for text, line in texts:
                yield from _assigned(text, line, section)
            stack += [
                (item, where, f"item of line {item.start_mark.line + 1}, {item.start_mark.column}")
                for item in reversed(each.value)
                if item.id != "scalar"
            ]
        elif each.value not in _UNSET:
            yield Line((where, each.value), each.start_mark.line + 1, True, part)
            if "--" in each.value:
                words = [(word, each.start_mark.line + 1) for word in _split(each.value)]
                yield from _pairs(words, f"text of line {each.start_mark.line + 1}")


def _named_value(mapping: Any, part: str) -> Iterator[Line]:  # noqa: ANN401 - PyYAML's nodes
    """A container's variable: ``name: ETCD_NAME`` and ``value: a`` side by side."""
    pairs = {key.value: value for key, value in mapping.value if key.id == value.id == "scalar"}
    if {"name", "value"} <= set(pairs):
        number = pairs["value"].start_mark.line + 1
        yield Line((pairs["name"].value, pairs["value"].value), number, True, part)


def _flags(text: str) -> Iterator[Line]:
    words = []
    for number, line in _continued(text):
        words += [(word, number) for word in _split(line)]
    return _pairs(words)


def _pairs(words: list[tuple[str, int]], section: str = "") -> Iterator[Line]:
    """``--name=value`` and ``--name value``; a flag alone is none of ours."""
    for at, (word, number) in enumerate(words):
        found = _FLAG.fullmatch(word)
        if not found:
            continue
        name, value = found.groups()
        if value is None and at + 1 < len(words) and not words[at + 1][0].startswith("-"):
            value = words[at + 1][0]
        if value is not None:
            yield Line((name, value), number, True, section)


def _properties(text: str) -> Iterator[Line]:
    """``name=value``, ``name: value`` or ``name value``; comments with # ! or ; (Java, INI, sysctl)."""
    section = ""
    for number, line in _continued(text):
        plain = line.strip()
        if plain.startswith("["):
            section = plain
        found = None if plain[:1] in {*_REMARKED, "["} else _KEYED.fullmatch(plain)
        if found:
            yield Line((found.group(1), _unquoted(found.group(2))), number, True, section)


def _sysctl(text: str) -> Iterator[Line]:
    """As properties; a - before a name says that its failure does not matter (sysctl.d)."""
    for line in _properties(text):
        name, value = line.words
        yield Line((name.removeprefix("-"), value), line.number, True, line.section)


def _conf(text: str) -> Iterator[Line]:
    """Lines of words (Redis, HAProxy, nginx): comments with #, a ; or { at the end is no word.

    A section is a block in braces, or an unindented line with indented ones below it.
    """
    blocks: list[str] = []
    heading = ""
    for number, line in _continued(text):
        plain = line.strip()
        if plain.startswith("}"):
            blocks = blocks[:-1]
            continue
        words = _split(plain.rstrip("{;").rstrip())
        if not words:
            continue
        if plain.endswith("{"):
            blocks.append(f"{words[0]} of line {number}")
        elif not line[:1].isspace():
            heading = f"{words[0]} of line {number}"
        own = heading if line[:1].isspace() and not blocks else ""
        yield Line(tuple(words), number, False, " ".join([*blocks, own]).strip())


def _env(text: str) -> Iterator[Line]:
    """Shell and unit files: ``NAME=value``, with ``export`` or ``Environment=`` before one or several."""
    for number, line in _continued(text):
        for word in _split(line.strip().removeprefix("export ").removeprefix("Environment=")):
            yield from _assigned(word, number)


def _assigned(word: str, number: int, section: str = "") -> Iterator[Line]:
    found = _ENV.fullmatch(word)
    if found:
        yield Line((found.group(1), found.group(2).strip()), number, True, section)


def _hocon(text: str) -> Iterator[Line]:
    for key, value, number in blocks.settings(text):
        yield Line((key, _unquoted(value)), number, keyed=True)


def _toml(text: str) -> Iterator[Line]:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"no TOML: {error}") from error
    yield from _leaves(values, "", text)


def _json(text: str) -> Iterator[Line]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"no JSON: {error}") from error
    yield from _leaves(values, "", text)


def _leaves(value: Any, path: str, text: str, section: str = "") -> Iterator[Line]:  # noqa: ANN401 - any JSON
    """Numbers and texts by their dotted path; the line is the first that has the key."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}" if path else str(key), text, section)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _leaves(each, path, text, f"{section}[{at}]")
    elif not isinstance(value, bool) and isinstance(value, int | float | str):
        key = path.rpartition(".")[2]
        lines = text.splitlines()
        number = next((at for at, line in enumerate(lines, start=1) if key in line), 1)
        yield Line((path, str(value)), number, True, section)


def _xml(text: str) -> Iterator[Line]:
    return _found(_XML, _XML_REMARK.sub(_blank, text))


def _code(text: str) -> Iterator[Line]:
    """Calls, assignments and tables of programs; products of whole numbers are worked out."""
    for line in _found(_CODE, _REMARK.sub(_blank, text)):
        name, value = line.words
        yield Line((name, _product(value)), line.number, keyed=True)


def _product(value: str) -> str:
    """``2 * 500 * time.Millisecond`` as ``1000 * time.Millisecond``; anything else as it is."""
    factors = [factor.strip() for factor in value.split("*")]
    units = [factor for factor in factors if not factor.isdigit()]
    if not _FACTORS.fullmatch(value) or len(units) > 1:
        return value
    number = str(math.prod(int(factor) for factor in factors if factor.isdigit()))
    return " * ".join([number, *units])


def _found(pattern: re.Pattern[str], text: str) -> Iterator[Line]:
    """Whatever a pattern (name, value) finds; the line is the value's."""
    at, number = 0, 1
    for found in pattern.finditer(text):
        number += text.count("\n", at, found.start(2))
        at = found.start(2)
        yield Line((found.group(1), found.group(2)), number, keyed=True)


def _blank(remark: re.Match[str]) -> str:
    """What stands for a remark: its line ends, so that lines keep their numbers."""
    return " " + "\n" * remark.group().count("\n")


def _continued(text: str) -> Iterator[tuple[int, str]]:
    """Lines, those that end in a backslash joined with the next; numbered by their first."""
    held, begin = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        begin = begin or number
        # A remark ends with its line, whatever it ends in.
        if line.endswith("\\") and (held or line.strip()[:1] not in _REMARKED):
            held += line[:-1] + " "
            continue
        yield begin, held + line
        held, begin = "", 0
    if held:
        yield begin, held


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return line.partition("#")[0].split()


def _unquoted(value: str) -> str:
    """Without quotes, and without a comment that a blank sets apart."""
    plain = value.strip()
    if plain[:1] in {"'", '"'} and plain.find(plain[0], 1) > 0:
        return plain[1 : plain.find(plain[0], 1)]
    return re.split(r"\s+[#;]", plain, maxsplit=1)[0].strip()


_READERS: Mapping[str, Callable[[str], Iterator[Line]]] = {
    "yaml": _yaml,
    "properties": _properties,
    "ini": _properties,
    "sysctl": _sysctl,
    "conf": _conf,
    "flags": _flags,
    "env": _env,
    "hocon": _hocon,
    "toml": _toml,
    "json": _json,
    "xml": _xml,
    "code": _code,
}
