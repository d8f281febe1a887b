"""The language of a filing's formulas: parsed, evaluated in decimals, written out for worksheets and readers.

Numbers, names, ``+ - * /`` and parentheses, and

* ``sum_categories(ep_index_rate_{category})``: over the six benefit categories;
* ``sum_plans(a * b)``, and likewise ``sum_ages``, ``sum_areas``, ``sum_tobacco``, ``sum_tiers``: over the places of
  that kind, of one name or a product of names; within a product only its own plans count;
* ``ratio(a, b)``: a / b, blank where b is zero or blank;
* ``market(name)``: the number of the market, where a plan has one of the same name.

Blanks: an expression with a blank in it is blank, except that zero times a blank is zero (a weight of zero), and that
sums leave blanks out (a sum of blanks alone is blank), as in a worksheet.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from data_specs.errors import TableRefused
from rating.filing._numbers import CONTEXT, number_text

__all__ = [
    "OVER_CATEGORIES",
    "OVER_MARKET",
    "PLACEHOLDER",
    "TABLE",
    "Resolve",
    "Values",
    "evaluate",
    "parse",
    "references",
    "render_excel",
    "render_numbers",
    "render_text",
]

TABLE = "filing/urrt_formulas"
OVER_CATEGORIES, OVER_MARKET = "categories", "market"
SUMS = {
    "sum_categories": OVER_CATEGORIES,
    "sum_plans": "plan",
    "sum_ages": "age",
    "sum_areas": "area",
    "sum_tobacco": "tobacco",
    "sum_tiers": "tier",
}
PLACEHOLDER, _MARK = "{category}", "CATEGORY"
_OPERATORS: dict[type[ast.operator], tuple[str, int]] = {
    ast.Add: ("+", 1),
    ast.Sub: ("-", 1),
    ast.Mult: ("*", 2),
    ast.Div: ("/", 2),
}

# What a name is called elsewhere. The second argument is "" for one number, "market", or what a sum runs over
# ("plan", "categories", ...): then the answer is a range of cells; names by category keep their "{category}".
Resolve = Callable[[str, str], str]


class Values(Protocol):
    """Where an expression finds its numbers."""

    def one(self, name: str, over: str) -> Decimal | None:
        """Return the number of a name here, or of the market where `over` is ``"market"``; None: blank."""
        ...

    def several(self, names: tuple[str, ...], over: str) -> list[list[Decimal | None]]:
        """Return, for each place of a kind, the numbers of the names there."""
        ...


# ------------------------------------------------------------------------------------------------ parsing


def parse(expression: str, where: str = TABLE) -> ast.expr:
    """Return the tree of an expression.

    Raises
    ------
    TableRefused
        It is not of the language.

    Examples
    --------
    >>> references(parse("sum_plans(plan_adjusted_index_rate * proj_member_months_plan)"))
    (('plan_adjusted_index_rate', 'plan'), ('proj_member_months_plan', 'plan'))
    >>> parse("a ** 2")
    Traceback (most recent call last):
        ...
    data_specs.errors.TableRefused: the expression 'a ** 2' cannot be read ...
    """
    try:
        tree = ast.parse(expression.replace(PLACEHOLDER, _MARK), mode="eval").body
    except (SyntaxError, ValueError):
        raise _refused(expression, where) from None
    if not _is_allowed(tree):
        raise _refused(expression, where)
    return tree


def _is_allowed(tree: ast.expr) -> bool:
    match tree:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float()) | ast.Name():
            return True
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _is_allowed(operand)
        case ast.BinOp(left=left, op=op, right=right):
            return type(op) in _OPERATORS and _is_allowed(left) and _is_allowed(right)
        case ast.Call(func=ast.Name(id="ratio"), args=[over, under], keywords=[]):
            return _is_allowed(over) and _is_allowed(under)
        case ast.Call(func=ast.Name(id="market"), args=[ast.Name()], keywords=[]):
            return True
        case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]):
            return name in SUMS and bool(_factors(inner))
    return False


def _factors(tree: ast.expr) -> tuple[str, ...]:
    """Return the names of a product of names, or of one name; nothing when it is something else."""
    match tree:
        case ast.Name(id=name):
            return (_plain(name),)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            names = _factors(left), _factors(right)
            return (*names[0], *names[1]) if all(names) else ()
    return ()


def _plain(name: str) -> str:
    return name.replace(_MARK, PLACEHOLDER)


def _refused(expression: str, where: str) -> TableRefused:
    return TableRefused(
        f"the expression {expression!r} cannot be read",
        where=f"{where}, column expression",
        rule=f"numbers, names, + - * / and parentheses, ratio, market, {', '.join(SUMS)} (of a product of names)",
        remedy="mend the expression",
    )


def references(tree: ast.expr) -> tuple[tuple[str, str], ...]:
    """Return the names in an expression, each with what it is taken over (``""``: one number here); none twice."""
    found: dict[tuple[str, str], None] = {}

    def walk(node: ast.expr) -> None:
        match node:
            case ast.Name(id=name):
                found.setdefault((_plain(name), ""))
            case ast.UnaryOp(operand=operand):
                walk(operand)
            case ast.BinOp(left=left, right=right):
                walk(left)
                walk(right)
            case ast.Call(func=ast.Name(id="ratio"), args=[over, under]):
                walk(over)
                walk(under)
            case ast.Call(func=ast.Name(id="market"), args=[ast.Name(id=name)]):
                found.setdefault((_plain(name), OVER_MARKET))
            case ast.Call(func=ast.Name(id=function), args=[inner]):
                for name in _factors(inner):
                    found.setdefault((name, SUMS[function]))

    walk(tree)
    return tuple(found)


# ------------------------------------------------------------------------------------------------ evaluation


def evaluate(tree: ast.expr, values: Values) -> Decimal | None:
    """Return the value of an expression in decimals of 34 digits; None: blank.

    Raises
    ------
    decimal.DivisionByZero, decimal.InvalidOperation
        A division by zero outside of ``ratio``; whoever hands in numbers has checked them before.
    """
    match tree:
        case ast.Constant(value=number):
            return CONTEXT.create_decimal(repr(number))
        case ast.Name(id=name):
            return values.one(_plain(name), "")
        case ast.UnaryOp(operand=operand):
            value = evaluate(operand, values)
            return None if value is None else CONTEXT.minus(value)
        case ast.BinOp(left=left, op=op, right=right):
            return _operated(op, evaluate(left, values), evaluate(right, values))
        case ast.Call(func=ast.Name(id="ratio"), args=[over, under]):
            above, below = evaluate(over, values), evaluate(under, values)
            return None if above is None or not below else CONTEXT.divide(above, below)
        case ast.Call(func=ast.Name(id="market"), args=[ast.Name(id=name)]):
            return values.one(_plain(name), OVER_MARKET)
        case ast.Call(func=ast.Name(id=function), args=[inner]):
            return _summed(values.several(_factors(inner), SUMS[function]))
    raise TypeError(f"no expression: {ast.dump(tree)}")


def _operated(op: ast.operator, left: Decimal | None, right: Decimal | None) -> Decimal | None:
    if isinstance(op, ast.Mult) and (_is_zero(left) or _is_zero(right)):
        return Decimal(0)
    if left is None or right is None:
        return None
    match op:
        case ast.Add():
            return CONTEXT.add(left, right)
        case ast.Sub():
            return CONTEXT.subtract(left, right)
        case ast.Mult():
            return CONTEXT.multiply(left, right)
    return CONTEXT.divide(left, right)


def _is_zero(value: Decimal | None) -> bool:
    return value is not None and value == 0


def _summed(rows: list[list[Decimal | None]]) -> Decimal | None:
    total: Decimal | None = None
    for row in rows:
        term: Decimal | None = row[0]
        for value in row[1:]:
            term = _operated(ast.Mult(), term, value)
        if term is not None:
            total = term if total is None else CONTEXT.add(total, term)
    return total


# ------------------------------------------------------------------------------------------------ writing out


def render_excel(tree: ast.expr, resolve: Resolve, *, guarded: bool = False) -> str:
    """Return an expression as the formula of a worksheet cell, with ``=`` in front.

    Parameters
    ----------
    tree : expression
        As :func:`parse` or :class:`Formula` has it.
    resolve : callable
        ``resolve(name, over)`` -> the cell of a name (``over`` is ``""``, or ``"market"`` for that of worksheet 1), or
        the range of a sum (``"plan"``, ``"categories"`` ...). Names by category come with ``{category}`` in a sum and
        with their category otherwise.
    guarded : bool
        Leave the cell blank when a number it needs is blank, instead of counting the blank as zero.

    Examples
    --------
    >>> cells = {"exp_premium_total": "C12", "exp_member_months": "C8"}
    >>> tree = parse("ratio(exp_premium_total, exp_member_months)")
    >>> render_excel(tree, lambda name, over: cells[name])
    '=IF(N(C8)=0,"",C12/C8)'
    >>> render_excel(parse("sum_plans(a * b) - c"), lambda name, over: f"{name}1:{name}9" if over else "D2")
    '=SUMPRODUCT(a1:a9,b1:b9)-D2'
    """
    written = _Excel(resolve)
    body = written.text(tree)[0]
    # A ratio that is not defined leaves the whole cell blank: its test stands before everything else, and the test for
    # blanks before that, since a sum with a blank text in it is an error.
    for tests in (written.undefined, _blank_tests(tree, resolve) if guarded else []):
        if tests:
            test = tests[0] if len(tests) == 1 else f"OR({','.join(tests)})"
            body = f'IF({test},"",{body})'
    return "=" + body


def _blank_tests(tree: ast.expr, resolve: Resolve) -> list[str]:
    """Return the tests that a number which an expression needs is blank."""
    single = [resolve(name, over) for name, over in references(tree) if over in ("", OVER_MARKET)]
    ranges = [resolve(name, over) for name, over in references(tree) if over not in ("", OVER_MARKET)]
    tests = [f"COUNT({','.join(single)})<{len(single)}"] if single else []
    return [*tests, *(f"COUNT({cells})=0" for cells in ranges)]


def render_text(tree: ast.expr, show: Resolve) -> str:
    """Return an expression for a reader, each name as `show` has it.

    Examples
    --------
    >>> render_text(parse("(a - b) / (1 - c)"), lambda name, over: {"a": "611.34", "b": "24.6", "c": "0.025"}[name])
    '(611.34 - 24.6) / (1 - 0.025)'
    """
    return _Reader(show).text(tree)[0]


def render_numbers(tree: ast.expr, values: Values) -> str:
    """Return an expression with its numbers in the place of names; sums over places as their totals.

    Blanks are written as ``blank``. A name by category is not looked up outside of its sum.
    """
    return _Numbers(values).text(tree)[0]


class _Reader:
    """Expressions written as they stand in the table."""

    gap = " "

    def __init__(self, resolve: Resolve) -> None:
        self.resolve = resolve

    def text(self, tree: ast.expr) -> tuple[str, int]:
        """Return the text, and how tightly it binds: 1 sums, 2 products, 3 all else."""
        match tree:
            case ast.Constant(value=number):
                return repr(number), 3
            case ast.Name(id=name):
                return self.resolve(_plain(name), ""), 3
            case ast.UnaryOp(operand=operand):
                return "-" + self._inside(operand, 3), 2
            case ast.BinOp(left=left, op=op, right=right):
                sign, binds = _OPERATORS[type(op)]
                # a - (b - c) and a / (b * c) keep their parentheses
                after = binds + 1 if isinstance(op, (ast.Sub, ast.Div)) else binds
                joined = f"{self._inside(left, binds)}{self.gap}{sign}{self.gap}{self._inside(right, after)}"
                return joined, binds
            case ast.Call(func=ast.Name(id="ratio"), args=[over, under]):
                return self.ratio(over, under)
            case ast.Call(func=ast.Name(id="market"), args=[ast.Name(id=name)]):
                return self.resolve(_plain(name), OVER_MARKET), 3
            case ast.Call(func=ast.Name(id=function), args=[inner]):
                return self.sum(function, [self.resolve(name, SUMS[function]) for name in _factors(inner)]), 3
        raise TypeError(f"no expression: {ast.dump(tree)}")

    def _inside(self, tree: ast.expr, least: int) -> str:
        text, binds = self.text(tree)
        return text if binds >= least else f"({text})"

    def ratio(self, over: ast.expr, under: ast.expr) -> tuple[str, int]:
        return f"{self._inside(over, 2)}{self.gap}/{self.gap}{self._inside(under, 3)}", 2

    def sum(self, function: str, parts: list[str]) -> str:
        return f"{function}({' * '.join(parts)})"


class _Numbers(_Reader):
    """Expressions with their numbers."""

    def __init__(self, values: Values) -> None:
        super().__init__(lambda name, over: _shown(values.one(name, over)))
        self.values = values

    def text(self, tree: ast.expr) -> tuple[str, int]:
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in SUMS:
            return _shown(evaluate(tree, self.values)), 3
        return super().text(tree)


def _shown(value: Decimal | None) -> str:
    if value is None:
        return "blank"
    return number_text(value) if value >= 0 else f"({number_text(value)})"


class _Excel(_Reader):
    """Expressions written as formulas of a worksheet."""

    gap = ""

    def __init__(self, resolve: Resolve) -> None:
        super().__init__(resolve)
        self.undefined: list[str] = []  # tests that a ratio has nothing to divide by

    def ratio(self, over: ast.expr, under: ast.expr) -> tuple[str, int]:
        test = f"N({self.text(under)[0]})=0"
        if test not in self.undefined:
            self.undefined.append(test)
        return super().ratio(over, under)

    def sum(self, function: str, parts: list[str]) -> str:  # noqa: ARG002 - a range says what it runs over
        return f"SUM({parts[0]})" if len(parts) == 1 else f"SUMPRODUCT({','.join(parts)})"
