"""The arithmetic of the template as data: ``filing/urrt_formulas``, the formulas in force and what each name is.

One expression is evaluated in decimals, rendered as the live formula of a worksheet, printed in a trace, evaluated
again by the review of a filing, and evaluated with other inputs by the bridge between two filings. The language is that
of :mod:`rating.filing._expressions`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from data_specs import _registry
from rating.filing._expressions import OVER_MARKET, PLACEHOLDER, TABLE, parse, references, render_excel, render_text

__all__ = [
    "CATEGORIES",
    "OVER_MARKET",
    "TABLE",
    "Formula",
    "Formulas",
    "Quantity",
    "category_of",
    "parse",
    "render_excel",
    "render_text",
]

# The benefit categories of worksheet 1, in its order; names of the template, at the end of our column names.
CATEGORIES = (
    "inpatient_hospital",
    "outpatient_hospital",
    "professional",
    "other_medical",
    "capitation",
    "prescription_drug",
)
Key = tuple[str, str]  # name, grain


def category_of(name: str) -> str | None:
    """Return the benefit category at the end of a name, or None.

    Examples
    --------
    >>> category_of("trended_ehb_other_medical"), category_of("trended_ehb_total")
    ('other_medical', None)
    """
    return next((category for category in CATEGORIES if name.endswith("_" + category)), None)


@dataclass(frozen=True, slots=True)
class Quantity:
    """What ``filing/urrt_formulas`` says about one name.

    Attributes
    ----------
    name, grain : str
        Grain: ``market``, ``product``, ``plan``, or a level of the calibration mix (``age``, ``area``, ``tobacco``,
        ``tier``).
    unit : str
        As in the table.
    limits : str
        ``positive``, ``not_negative``, ``ratio_0_1``, ``above_minus_1``, or "" (any number).
    needed : str
        When a value must be there: ``always``, ``experience`` (unless there are no member months of experience),
        ``offered`` (of every plan that is offered), or "" (may be blank).
    """

    name: str
    grain: str
    unit: str
    limits: str
    needed: str


@dataclass(frozen=True, slots=True)
class Formula:
    """One expression of the table, in force under the settings chosen.

    Attributes
    ----------
    name, grain, unit : str
        What it gives.
    expression : str
        As in the table, with the category filled in.
    tree : expression
        The same, parsed.
    parts : tuple of (str, str)
        The names in it, each with what it is taken over.
    rule, status : str
        The section of the law or template it follows, and how sure that reading is.
    setting : str
        ``user_fee_convention=gross_up``, or "" where no setting chooses it.
    """

    name: str
    grain: str
    unit: str
    expression: str
    rule: str
    status: str
    setting: str
    tree: ast.expr = field(compare=False, repr=False)
    parts: tuple[tuple[str, str], ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", references(self.tree))


class Formulas:
    """The formulas in force under some settings, and what is known of every name.

    Examples
    --------
    >>> formulas = Formulas.of({"user_fee_convention": "add_on"})
    >>> formulas.get("market_adjusted_index_rate", "market").expression
    '(projected_index_rate - proj_reinsurance - proj_risk_adjustment) * (1 + exchange_fee_pct)'
    """

    def __init__(self, quantities: dict[Key, Quantity], formulas: dict[Key, Formula]) -> None:
        self.quantities = quantities
        self.formulas = formulas

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Formulas:
        """Return the formulas of some settings; a formula of a setting that is not named is left out."""
        quantities, several = _table()
        chosen: dict[Key, Formula] = {}
        for formula in several:
            name, _, value = formula.setting.partition("=")
            if not name or str(settings.get(name)) == value:
                chosen[formula.name, formula.grain] = formula
        return cls(quantities, chosen)

    def get(self, name: str, grain: str) -> Formula | None:
        """Return the formula of a name at a grain, or None: it is an input there."""
        return self.formulas.get((name, grain))

    def quantity(self, name: str, grain: str) -> Quantity | None:
        """Return what is known of a name at a grain."""
        return self.quantities.get((name, grain))

    def names(self, grain: str) -> list[str]:
        """Return the names of a grain, in the order of the table."""
        return [name for name, at in self.quantities if at == grain]


def _table() -> tuple[dict[Key, Quantity], tuple[Formula, ...]]:
    # The registry keeps its frames as long as no overlay changes them: the rows decide, not the frame.
    rows = tuple(tuple(row) for row in _registry.rows(TABLE).drop("_file").rows())
    return _read(rows, tuple(_registry.rows(TABLE).drop("_file").columns))


@lru_cache(maxsize=8)
def _read(
    rows: tuple[tuple[object, ...], ...], columns: tuple[str, ...]
) -> tuple[dict[Key, Quantity], tuple[Formula, ...]]:
    quantities: dict[Key, Quantity] = {}
    formulas: list[Formula] = []
    for values in rows:
        row = {c: "" if v is None else str(v) for c, v in zip(columns, values, strict=True)}
        categories: tuple[str, ...] = CATEGORIES if PLACEHOLDER in row["name"] else ("",)
        for category in categories:
            name = row["name"].replace(PLACEHOLDER, category)
            key = name, row["grain"]
            quantities.setdefault(key, Quantity(*key, row["unit"], row["limits"], row["needed"]))
            if row["expression"]:
                expression = row["expression"].replace(PLACEHOLDER, category) if category else row["expression"]
                setting = f"{row['setting']}={row['setting_value']}" if row["setting"] else ""
                tree = parse(expression, f"{TABLE}, row {row['_row']}")
                formulas.append(
                    Formula(*key, row["unit"], expression, row["section_rule"], row["status"], setting, tree)
                )
    return quantities, tuple(formulas)
