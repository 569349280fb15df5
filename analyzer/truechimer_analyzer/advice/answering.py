"""The ``products`` of an answer: which are asked for, what they need to know, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from truechimer.errors import NotEnough
from truechimer_analyzer.advice import asked, gathering
from truechimer_analyzer.advice.describing import describe
from truechimer_analyzer.advice.engine import Wish, advise
from truechimer_analyzer.advice.gathering import DISK, FSYNC_FIELDS
from truechimer_analyzer.timeouts import TimeoutsRefused
from truechimer_analyzer.timeouts.use import DEFAULT_FALSE_PER_MONTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from truechimer_analyzer.advice.schema import Product
    from truechimer_analyzer.stores import Columns, Series
    from truechimer_analyzer.timeouts.holder import Holder
    from truechimer_analyzer.timeouts.record import Record
    from truechimer_analyzer.window import Question

__all__ = ["DISK", "FSYNC_FIELDS", "Asked", "answer", "asked_for"]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """The products that are asked for, and the present settings that are known, by product and key."""

    products: tuple[Product, ...]
    current: Mapping[str, Mapping[str, float]]

    def needs(self, bind: str) -> bool:
        """Whether any product is bound by this (``schema.BINDS``)."""
        return any(bind in product.binds for product in self.products)


def asked_for(question: Question) -> Asked:
    """The options ``product`` and ``current``; UserError for what they cannot be; neither is no product.

    Present settings alone name their products.
    """
    if question.product is None and question.current is None:
        return Asked((), {})
    named = question.product
    if named is None:
        named = ",".join(_names(question.current or ""))
    products = asked.parse_products(named)
    current = {} if question.current is None else asked.parse_current(question.current, products)
    return Asked(tuple(products), current)


def answer(
    wanted: Asked,
    question: Question,
    base: Callable[[], Document],
    record: Record,
    pauses: Columns,
    holder: Holder,
    fsyncs: Iterable[Series],
    skew: Mapping[str, Any],
) -> Document:
    """The document of ``timeouts`` (from ``base``) with its ``products``.

    Without any product it is ``base``'s. A refusal of every use stands only where every product is refused
    too; where nothing was measured the products' constraints are still checked, and the document of the
    refusal holds that.
    """
    refused: NotEnough | None = None
    try:
        document = base()
    except TimeoutsRefused as error:
        refused, document = error, error.document
    except NotEnough as error:
        if not wanted.products:
            raise
        refused = TimeoutsRefused(str(error), {"evidence": None, "uses": [], "products": []}, hint=error.hint)
        document = refused.document
    if wanted.products:
        tolerated = question.false_per_month or DEFAULT_FALSE_PER_MONTH
        measured = gathering.gather(
            record, pauses, holder, fsyncs, skew.get("clusters", ()), document["uses"], tolerated
        )
        wish = Wish(tolerated, question.detect_within_s)
        document["products"] = [
            describe(advise(product, measured, wanted.current.get(product.product, {}), wish))
            for product in wanted.products
        ]
    told = any(entry["verdict"] != "insufficient_data" for entry in document["products"])
    if refused is not None and not told:
        raise refused
    return document


def _names(current: str) -> list[str]:
    try:
        given = json.loads(current)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not given:
        asked.parse_current(current, [])
        return []
    return list(given)
