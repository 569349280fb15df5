"""Small checked expressions: arithmetic and comparisons over named quantities, durations in seconds.

``max(10 * rtt_mean_max_s, silence(heartbeat_interval))``, ``election_timeout <= 50s``. Numbers, lengths of
time (``500ms``, ``50s``, ``5min``), names, + - * /, comparisons (chains too), and, or, not, ``a if b else c``
and calls of functions that are handed in. Nothing else of Python is understood, so a product's file cannot
do anything but compute.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Number = float | bool

UNIT_S: Mapping[str, float] = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
}
_LENGTH = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(us|ms|s|min|h|d)(?![\w.])")
_NAME = re.compile(r"[A-Za-z_]\w*")
_LONGEST = 1000
_ARITHMETIC: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
# Durations are floats: what differs by less than this share is equal.
_SAME = 1e-9


class WrongExpressionError(ValueError):
    """The text is no expression of this small language; the message says where."""


class Unknown(Exception):  # noqa: N818 - an outcome, no fault
    """A quantity that the expression needs is not known; ``name`` says which."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression: its text as written, the names it reads and the functions it calls."""

    text: str
    names: frozenset[str]
    calls: frozenset[str]
    _tree: ast.expr = field(repr=False, compare=False)

    def value(
        self,
        values: Mapping[str, float | None],
        functions: Mapping[str, Callable[..., float | None]] | None = None,
    ) -> Number:
        """Its value where ``values`` holds every name (None = not known); a bool for a condition.

        Raises Unknown for a name that is absent or None, for a function that has no answer (it returned
        None), and for a division by zero. What decides an ``and`` or ``or`` early is enough.
        """
        return _Evaluation(values, {**PURE, **(functions or {})}).of(self._tree)

    def number(
        self,
        values: Mapping[str, float | None],
        functions: Mapping[str, Callable[..., float | None]] | None = None,
    ) -> float:
        """As ``value``, as a float."""
        return float(self.value(values, functions))

    def shown(self, names: Mapping[str, str]) -> str:
        """The text with names replaced as a product writes them."""
        return _NAME.sub(lambda match: names.get(match.group(0), match.group(0)), self.text)


def parse(text: str) -> Expression:
    """Text to an expression; WrongExpressionError for anything outside the language."""
    if len(text) > _LONGEST:
        raise WrongExpressionError(f"longer than {_LONGEST} characters")
    plain = _LENGTH.sub(lambda match: repr(float(match.group(1)) * UNIT_S[match.group(2)]), text.strip())
    try:
        tree = ast.parse(plain, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise WrongExpressionError(f"{text!r} cannot be parsed: {error}") from error
    names: set[str] = set()
    calls: set[str] = set()
    _check(tree, names, calls, text)
    return Expression(text.strip(), frozenset(names), frozenset(calls), tree)


def _check(node: ast.expr, names: set[str], calls: set[str], text: str) -> None:
    parts: list[ast.expr]
    match node:
        case ast.Constant(value=bool()):
            parts = []
        case ast.Constant(value=int() | float()):
            parts = []
        case ast.Name(id=name):
            names.add(name)
            parts = []
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            parts = [left, right]
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            parts = [operand]
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(o) in _COMPARISONS for o in ops):
            parts = [left, *others]
        case ast.BoolOp(values=values):
            parts = values
        case ast.IfExp(test=test, body=body, orelse=orelse):
            parts = [test, body, orelse]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if args and not any(
            isinstance(each, ast.Starred) for each in args
        ):
            calls.add(name)
            parts = args
        case _:
            raise WrongExpressionError(f"{text!r} holds {type(node).__name__}, which is not understood")
    for part in parts:
        _check(part, names, calls, text)


class _Evaluation:
    """One evaluation: what is known, and the functions that may be called."""

    def __init__(
        self, values: Mapping[str, float | None], functions: Mapping[str, Callable[..., float | None]]
    ) -> None:
        self._values = values
        self._functions = functions

    def of(self, node: ast.expr) -> Number:
        match node:
            case ast.Constant(value=bool() | int() | float() as constant):
                return constant
            case ast.Name(id=name):
                return _known(name, self._values.get(name))
            case ast.Call(func=ast.Name(id=name), args=args):
                return _known(name, self._functions[name](*(self.of(each) for each in args)))
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(op, left, right)
            case ast.UnaryOp(op=op, operand=operand):
                return not self.of(operand) if isinstance(op, ast.Not) else -self.of(operand)
            case ast.Compare(left=left, ops=ops, comparators=others):
                every = [self.of(each) for each in (left, *others)]
                return all(_compare(op, every[at], every[at + 1]) for at, op in enumerate(ops))
            case ast.BoolOp(op=op, values=parts):
                return self._either(parts, decides=isinstance(op, ast.Or))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.of(body) if self.of(test) else self.of(orelse)
        raise AssertionError(f"{type(node).__name__} passed the check")

    def _arithmetic(self, op: ast.operator, left: ast.expr, right: ast.expr) -> float:
        try:
            return _ARITHMETIC[type(op)](self.of(left), self.of(right))
        except ZeroDivisionError as error:
            raise Unknown("division by zero") from error

    def _either(self, parts: list[ast.expr], *, decides: bool) -> bool:
        """``or`` (``decides`` True) and ``and``: one part that decides is enough, however little is known."""
        unknown: Unknown | None = None
        for part in parts:
            try:
                if bool(self.of(part)) is decides:
                    return decides
            except Unknown as error:
                unknown = unknown or error
        if unknown is not None:
            raise unknown
        return not decides


def _known(name: str, value: float | None) -> float:
    if value is None or math.isnan(value):
        raise Unknown(name)
    return value


def _compare(op: ast.cmpop, left: float, right: float) -> bool:
    """Equal within a float's error counts as equal: 3 * 0.1 is not above 0.3."""
    if math.isclose(left, right, rel_tol=_SAME):
        return isinstance(op, ast.LtE | ast.GtE | ast.Eq)
    return _COMPARISONS[type(op)](left, right)


def ceil(value: float) -> float:
    """The next whole number that is not below, but for a float's error."""
    return math.ceil(value - _SAME * max(1.0, abs(value)))


def floor(value: float) -> float:
    """The next whole number that is not above, but for a float's error."""
    return math.floor(value + _SAME * max(1.0, abs(value)))


def phi_deviations(threshold: float) -> float | None:
    """How many standard deviations past the mean Akka's φ reaches ``threshold`` (> 0.31).

    The positive root of y·(1.5976 + 0.070566·y²) = −ln(e/(1 − …)): with φ = −log10(e/(1 + e)) and
    e = exp(−y(1.5976 + 0.070566 y²)), that is ln(10^φ − 1). Akka, PhiAccrualFailureDetector.scala.
    """
    if not 0.31 <= threshold <= 300:
        return None
    wanted = math.log(10.0**threshold - 1.0)
    low, high = 0.0, 100.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if middle * (1.5976 + 0.070566 * middle**2) < wanted else (low, middle)
    return high


PURE: Mapping[str, Callable[..., float | None]] = {
    "min": min,
    "max": max,
    "ceil": ceil,
    "floor": floor,
    "phi_deviations": phi_deviations,
}
