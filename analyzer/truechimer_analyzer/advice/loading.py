"""Products' files to ``schema.Product``: the TOML of one product, checked, for one version of it."""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

from truechimer.errors import ConfigError, UserError
from truechimer_analyzer.advice import schema
from truechimer_analyzer.advice.expressions import PURE
from truechimer_analyzer.advice.tomlwalk import Table

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

FUNCTIONS = frozenset(PURE) | frozenset(schema.EVIDENCE)
_VERSION = re.compile(r"\d+(\.\d+)*")
_FIRST = (0,)


@functools.cache
def product_names() -> tuple[str, ...]:
    """The products that there is advice for, in alphabetical order."""
    folder = resources.files(__package__) / "products"
    return tuple(sorted(each.name.removesuffix(".toml") for each in folder.iterdir() if _is_toml(each.name)))


def load(name: str, version: str | None = None) -> schema.Product:
    """The product ``name`` as it is in ``version`` (its newest checked one when None).

    Raises UserError for an unknown product or what is no version, ConfigError for a wrong file.
    """
    if name not in product_names():
        near = difflib.get_close_matches(name, product_names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"there is no advice for {name!r}", hint=f"{hint}known: {', '.join(product_names())}")
    return parse_product(_text(name), name, version)


def parse_product(text: str, name: str, version: str | None = None) -> schema.Product:
    """A product's TOML, checked; ConfigError names what is wrong in it."""
    try:
        values: Mapping[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}.toml: {error}") from error
    top = Table(values, f"{name}.toml")
    if top.text("product") != name:
        raise top.wrong(f"product = {values['product']!r} is not the file's name")
    versions = top.texts("versions")
    for each in versions:
        parse_version(each, f"{name}.toml")
    asked = versions[-1] if version is None else version
    at = parse_version(asked, name)
    tables = top.items("settings")
    keys = [key for key, _ in tables]
    settings = {key: found for key, table in tables if (found := _setting(key, table, at, keys)) is not None}
    names = frozenset(keys) | frozenset(schema.QUANTITIES)
    snippet = _snippet(top.table("snippet"), top, keys)
    product = schema.Product(
        product=name,
        title=top.text("title"),
        version=asked.strip().removeprefix("v"),
        versions=versions,
        binds=_known(top, "binds", schema.BINDS),
        reads=_known(top, "reads", schema.FORMATS) if "reads" in top else (snippet.format,),
        notes=top.text("notes", ""),
        settings=settings,
        constraints=_constraints(top, at, names),
        clamps=_clamps(top, at, names, keys),
        prediction=_prediction(top.table("prediction"), names),
        figures=_figures(top, at, names),
        snippet=snippet,
    )
    top.done()
    return product


def parse_version(text: str, where: str) -> tuple[int, ...]:
    """``3.5`` or ``v3.5.9`` as numbers that compare; UserError otherwise."""
    plain = text.strip().removeprefix("v")
    if not _VERSION.fullmatch(plain):
        raise UserError(f"{where}: {text!r} is no version", hint="write numbers and dots, like 3.5")
    return tuple(int(part) for part in plain.split("."))


def _is_toml(name: str) -> bool:
    return name.endswith(".toml")


@functools.cache
def _text(name: str) -> str:
    return (resources.files(__package__) / "products" / f"{name}.toml").read_text(encoding="utf-8")


def _known(table: Table, key: str, known: Collection[str]) -> tuple[str, ...]:
    found = table.texts(key)
    if strange := [each for each in found if each not in known]:
        raise table.wrong(f"{key} holds {', '.join(strange)}; known: {', '.join(known)}")
    return found


def _setting(key: str, table: Table, at: tuple[int, ...], keys: Collection[str]) -> schema.Setting | None:
    if not key.isidentifier() or key in schema.QUANTITIES or key in FUNCTIONS:
        raise table.wrong("its key must be an identifier that means nothing else")
    names = frozenset(keys) | frozenset(schema.QUANTITIES)
    at_least, at_most = (_bound(table.table(each), names) for each in ("at_least", "at_most"))
    changes = table.tables("changes")
    for change in sorted(changes, key=_before, reverse=True):
        # From the newest change down: the oldest that still applies has the last word.
        if at < _before(change):
            table = table.overlaid(change, but="before")
    setting = schema.Setting(
        key=key,
        name=table.text("name"),
        aliases=table.texts("aliases") if "aliases" in table else (),
        unit=table.one_of("unit", schema.UNITS, _absent("unit", table)),
        kind=table.one_of("kind", schema.KINDS),
        notation=table.one_of("notation", schema.NOTATIONS, "number"),
        integer=table.flag("integer", default=True),
        default=table.number_or_expression("default", keys, PURE),
        least=table.number("min"),
        most=table.number("max"),
        off=table.number("off"),
        step=table.number("step"),
        safety=table.flag("safety", default=False),
        what=table.text("what"),
        source=table.text("source"),
        at_least=at_least,
        at_most=at_most,
    )
    applies = _applies(table, at)
    table.done("since", "before", "at_least", "at_most", "changes")
    if setting.kind == "fixed" and (at_least or at_most):
        raise table.wrong("what is compiled in cannot be advised")
    return setting if applies else None


def _absent(key: str, table: Table) -> str | None:
    """A plain number says so with unit = "": the key itself must be there."""
    return "" if key in table else None


def _before(change: Table) -> tuple[int, ...]:
    return parse_version(change.text("before"), change.where)


def _bound(table: Table | None, names: Collection[str]) -> schema.Bound | None:
    if table is None:
        return None
    bound = schema.Bound(table.expression("rule", names, FUNCTIONS), table.text("why"), table.text("source"))
    table.done()
    return bound


def _applies(table: Table, at: tuple[int, ...]) -> bool:
    since = parse_version(table.text("since"), table.where) if "since" in table else _FIRST
    return since <= at and ("before" not in table or at < _before(table))


def _constraints(top: Table, at: tuple[int, ...], names: Collection[str]) -> tuple[schema.Constraint, ...]:
    found: list[schema.Constraint] = []
    for table in top.tables("constraints"):
        constraint = schema.Constraint(
            table.expression("rule", names, FUNCTIONS),
            table.text("message"),
            table.text("source"),
            table.text("expected") if "expected" in table else None,
        )
        if _applies(table, at):
            found.append(constraint)
        table.done("since", "before", "expected")
    return tuple(found)


def _clamps(
    top: Table, at: tuple[int, ...], names: Collection[str], keys: Collection[str]
) -> tuple[schema.Clamp, ...]:
    found: list[schema.Clamp] = []
    for table in top.tables("clamps"):
        clamp = schema.Clamp(
            table.one_of("setting", keys),
            table.expression("when", names, PURE),
            table.expression("becomes", names, PURE),
            table.text("message"),
            table.text("source"),
        )
        if _applies(table, at):
            found.append(clamp)
        table.done("since", "before")
    return tuple(found)


def _prediction(table: Table | None, names: Collection[str]) -> schema.Prediction | None:
    if table is None:
        return None
    detect = _part(table.table("detect"), names)
    if detect is None:
        raise table.wrong("detect is missing")
    prediction = schema.Prediction(
        alarm=cast("Any", table.one_of("alarm", schema.ALARMS)),
        every=table.expression("every", names, PURE),
        timeout=table.expression("timeout", names, PURE),
        source=table.text("source"),
        detect=detect,
        elect=_part(table.table("elect"), names),
        reconnect=_part(table.table("reconnect"), names),
    )
    table.done()
    return prediction


def _part(table: Table | None, names: Collection[str]) -> schema.Part | None:
    if table is None:
        return None
    least, mean, most = (table.expression(each, names, FUNCTIONS) for each in ("min", "mean", "max"))
    part = schema.Part(least, mean, most, table.text("source"))
    table.done()
    return part


def _figures(top: Table, at: tuple[int, ...], names: Collection[str]) -> tuple[schema.Figure, ...]:
    found: list[schema.Figure] = []
    for table in top.tables("figures"):
        figure = schema.Figure(
            table.text("name"),
            table.one_of("unit", ("s", ""), _absent("unit", table)),
            table.expression("rule", names, FUNCTIONS),
            table.text("source"),
        )
        if _applies(table, at):
            found.append(figure)
        table.done("since", "before")
    return tuple(found)


def _snippet(table: Table | None, top: Table, keys: Collection[str]) -> schema.Snippet:
    if table is None:
        raise top.wrong("snippet is missing")
    snippet = schema.Snippet(
        table.one_of("format", schema.FORMATS), table.text("file"), table.text("template")
    )
    table.done()
    if strange := {key for key, _ in schema.PLACEHOLDER.findall(snippet.template)} - set(keys):
        raise table.wrong(f"template names {', '.join(sorted(strange))}, which is no setting")
    return replace(snippet, template=snippet.template.strip("\n") + "\n")
