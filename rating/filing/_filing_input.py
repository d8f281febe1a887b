"""What a filing is made of as it arrives: assumptions by name, plans, current premiums; each number checked."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from data_specs import _frames
from data_specs.errors import InputRefused
from rating._frame_rows import collected
from rating.filing._draft import Draft, Identity
from rating.filing._findings import listed, refusal, refuse_rows
from rating.filing._formulas import Formulas
from rating.filing._ledger import MARKET, Entry
from rating.filing._numbers import exact_or_blank

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "NEW",
    "PLAN_TEXTS",
    "RENEWING",
    "TERMINATED",
    "Plans",
    "check_limits",
    "give_numbers",
    "is_within",
    "need_values",
    "read_assumptions",
    "read_current",
    "read_numbers",
    "read_plans",
]

NEW, RENEWING, TERMINATED = "new", "renewing", "terminated"
# What a plan has beside numbers; the names are those of worksheet 2.
PLAN_TEXTS = (
    "plan_id",
    "plan_name",
    "product_id",
    "product_name",
    "metal_level",
    "plan_category",
    "plan_type",
    "on_exchange",
    "network_id",
    "plan_effective_date",
    "crosswalk_plan_id",
)
METALS = ("platinum", "gold", "silver", "bronze", "expanded_bronze", "catastrophic")
_PLAN_ID = r"^([0-9]{5})([A-Z]{2})[0-9]{7}$"  # filing/hios_id_grammar: issuer, state, number
_PRODUCT = 10  # characters of a plan id that name its product
# Limits of filing/urrt_formulas: what a number must be, what it is if it is not, what to do about it.
_LIMITS: dict[str, tuple[Callable[[Decimal], bool], str, str]] = {
    "positive": (lambda value: value > 0, "is not positive", "check the sign; an absent number is left out"),
    "not_negative": (lambda value: value >= 0, "is negative", "check the sign"),
    "ratio_0_1": (
        lambda value: 0 <= value <= 1,
        "is not a fraction from 0 to 1",
        "fractions are of one: 0.025, not 2.5",
    ),
    "share": (
        lambda value: 0 < value <= 1,
        "is not above 0 and at most 1",
        "check the sign; fractions are of one: 0.81, not 81",
    ),
    "above_minus_1": (lambda value: value > -1, "is not above -1", "fractions are of one: 0.025, not 2.5"),
}


# ------------------------------------------------------------------------------------------------ assumptions


def read_assumptions(assumptions: Mapping[str, Any], formulas: Formulas) -> tuple[list[Entry], dict[str, str]]:
    """Return the numbers of the market that were handed in, and the words (``exchange_type``).

    A value is a number, or a mapping with ``value`` and, when wanted, ``source`` and ``note``.

    Raises
    ------
    InputRefused
        A name is not known, a value is no number or outside its limits.
    """
    if not isinstance(assumptions, Mapping):
        raise InputRefused("assumptions are not a mapping", remedy='write them as {"credibility": 1, ...}')
    known = formulas.names("market")
    entries, words = [], {}
    for name, given in assumptions.items():
        detail = given if isinstance(given, Mapping) else {"value": given}
        if name == "exchange_type":
            words[name] = str(detail.get("value"))
            continue
        quantity = formulas.quantity(name, "market")
        if quantity is None:
            near = difflib.get_close_matches(str(name), known, n=3)
            raise refusal(
                "PRC-001",
                f"no quantity of the market is called {name!r}",
                "assumptions",
                f"use {' or '.join(near)}" if near else "names are those of filing/urrt_formulas, grain market",
            )
        loose = sorted(set(detail) - {"value", "source", "note"})
        if loose:
            raise refusal("PRC-001", f"{name} has {listed(loose)}", "assumptions", "use value, source and note")
        value = exact_or_blank(detail.get("value"), f"assumptions, {name}")
        if value is None:
            continue
        check_limits(name, quantity.limits, value, f"assumptions, {name}")
        source = str(detail.get("source", "assumption"))
        entries.append(Entry(name, MARKET, value, quantity.unit, source=source, note=str(detail.get("note", ""))))
    return entries, words


def check_limits(name: str, limits: str, value: Decimal, where: str) -> None:
    """Refuse a number outside of the limits that ``filing/urrt_formulas`` sets for it.

    Raises
    ------
    InputRefused
        It is.
    """
    if not is_within(limits, value):
        _, what, remedy = _LIMITS[limits]
        raise refusal("PRC-002", f"{name} {what}", where, remedy)


def is_within(limits: str, value: Decimal | None) -> bool:
    """Whether a number is within limits of ``filing/urrt_formulas``; a blank is, and so is any number without limits.

    Examples
    --------
    >>> is_within("ratio_0_1", Decimal("1.2")), is_within("positive", None), is_within("", Decimal(-5))
    (False, True, True)
    """
    return value is None or not limits or _LIMITS[limits][0](value)


# ------------------------------------------------------------------------------------------------ plans


@dataclass(frozen=True, slots=True)
class Plans:
    """The plans of a filing.

    Attributes
    ----------
    texts : DataFrame
        :data:`PLAN_TEXTS` (null where not given), then columns that the filing keeps but does not use; sorted by
        product and plan.
    category_of : dict of str to str
        Plan -> ``new``, ``renewing`` or ``terminated``, in that order of plans.
    product_of, metal_of : dict of str to str
        Plan -> product, metal level.
    on_exchange : dict of str to bool or None
        Plan -> whether it is sold on the exchange; None: not said.
    """

    texts: pl.DataFrame
    category_of: dict[str, str]
    product_of: dict[str, str]
    metal_of: dict[str, str]
    on_exchange: dict[str, bool | None]

    @property
    def offered(self) -> list[str]:
        """Plans that are sold in the plan year."""
        return [plan for plan, category in self.category_of.items() if category != TERMINATED]

    @property
    def terminated(self) -> list[str]:
        """Plans that are not."""
        return [plan for plan, category in self.category_of.items() if category == TERMINATED]


def read_plans(frame: Any, draft: Draft) -> Plans:
    """Return the plans, and give their numbers to the draft.

    Raises
    ------
    InputRefused
        There is none; an id is missing, double, malformed or of another issuer or state; a category or metal level is
        not known; a number is unreadable or outside its limits.
    """
    import polars as pl

    plans = collected(frame, "plans", ("plan_id", "metal_level", "plan_category"))
    if plans.height == 0:
        raise refusal("PRC-003", "there is no plan", "plans", "hand in a row for each plan, terminated ones too")
    ids = _frames.text_column(plans, "plans", "plan_id").str.strip_chars()
    _check_ids(ids, draft.identity)
    words = {"plan_id": ids}
    words["metal_level"] = _choice(plans, "metal_level", METALS).replace("expanded bronze", "expanded_bronze")
    words["plan_category"] = _choice(plans, "plan_category", (NEW, RENEWING, TERMINATED))
    product = ids.str.slice(0, _PRODUCT)
    if "product_id" in plans.columns:
        product = _frames.text_column(plans, "plans", "product_id").str.strip_chars().fill_null(product)
    words["product_id"] = product
    words["on_exchange"] = _yes_or_no(plans, "on_exchange")
    words["plan_effective_date"] = _dates(plans, "plan_effective_date")
    none = pl.Series([None] * plans.height, dtype=pl.String)
    for name in PLAN_TEXTS:
        if name not in words:
            words[name] = _frames.text_column(plans, "plans", name) if name in plans.columns else none
    numbers = [name for name in plans.columns if draft.formulas.quantity(name, "plan") is not None]
    kept = [name for name in plans.columns if name not in words and name not in numbers]
    texts = pl.DataFrame([words[name].alias(name) for name in PLAN_TEXTS]).with_columns(plans.select(kept))
    give_numbers(draft, plans.with_columns(ids.alias("plan_id")), "plans", "plan", "plan_id", numbers)
    texts = texts.sort("product_id", "plan_id")
    order = texts["plan_id"].to_list()
    by_plan = {name: dict(zip(order, texts[name].to_list(), strict=True)) for name in PLAN_TEXTS}
    if all(category == TERMINATED for category in by_plan["plan_category"].values()):
        raise refusal(
            "PRC-003", "every plan is terminated: there is nothing to rate", "plans, column plan_category", "check it"
        )
    _check_crosswalk(texts, by_plan["plan_category"])
    return Plans(texts, by_plan["plan_category"], by_plan["product_id"], by_plan["metal_level"], by_plan["on_exchange"])


def _check_ids(ids: pl.Series, identity: Identity) -> None:
    missing = ids.is_null() | (ids == "")
    refuse_rows("PRC-003", "plans", "plan_id", missing.to_numpy(), "a plan has no id", "name the plan")
    double = ids.is_duplicated().to_numpy()
    refuse_rows("PRC-003", "plans", "plan_id", double, "a plan stands twice", "hand in one row for each plan")
    malformed = ~ids.str.contains(_PLAN_ID).to_numpy()
    remedy = "five digits of the issuer, two letters of the state, seven digits"
    refuse_rows("PRC-003", "plans", "plan_id", malformed, "an id is not of 14 characters", remedy)
    other = (ids.str.slice(0, 5) != identity.issuer_id) | (ids.str.slice(5, 2) != identity.state)
    refuse_rows("PRC-003", "plans", "plan_id", other.to_numpy(), "a plan is of another issuer or state", remedy)


def _choice(frame: pl.DataFrame, column: str, words: tuple[str, ...]) -> pl.Series:
    texts = _frames.text_column(frame, "plans", column).str.strip_chars().str.to_lowercase()
    texts = texts.str.replace_all(r"[ -]+", "_")
    broken = ~texts.is_in(list(words)).fill_null(False).to_numpy()
    refuse_rows("PRC-003", "plans", column, broken, f"a {column} is not known", "one of " + ", ".join(words))
    return texts


def _yes_or_no(frame: pl.DataFrame, column: str) -> pl.Series:
    """Return a column of flags as Boolean; words are yes, no, true, false; null where not given."""
    import polars as pl

    if column not in frame.columns:
        return pl.Series([None] * frame.height, dtype=pl.Boolean)
    given = frame[column]
    if given.dtype in (pl.Boolean, pl.Null):
        return given.cast(pl.Boolean)
    texts = _frames.text_column(frame, "plans", column).str.strip_chars().str.to_lowercase()
    flags = texts.replace_strict(
        ["yes", "y", "true", "no", "n", "false"], [True] * 3 + [False] * 3, default=None, return_dtype=pl.Boolean
    )
    broken = (flags.is_null() & texts.is_not_null()).to_numpy()
    refuse_rows("PRC-003", "plans", column, broken, f"{column} is neither yes nor no", "write yes or no")
    return flags


def _dates(frame: pl.DataFrame, column: str) -> pl.Series:
    import polars as pl

    if column not in frame.columns:
        return pl.Series([None] * frame.height, dtype=pl.Date)
    dates = _frames.date_column(frame, "plans", column)
    broken = (dates.is_null() & frame[column].is_not_null()).to_numpy()
    refuse_rows("PRC-003", "plans", column, broken, f"{column} is no date", "write YYYY-MM-DD")
    return dates


def _check_crosswalk(texts: pl.DataFrame, category_of: Mapping[str, str]) -> None:
    targets = texts["crosswalk_plan_id"]
    offered = [plan for plan, category in category_of.items() if category != TERMINATED]
    broken = targets.is_not_null() & (~targets.is_in(offered) | (texts["plan_category"] != TERMINATED))
    plans = texts.filter(broken)["plan_id"].to_list()
    if plans:
        raise refusal(
            "PRC-003",
            f"crosswalk_plan_id of {listed(plans)} cannot be used",
            "plans, column crosswalk_plan_id",
            "a terminated plan names the offered plan that its enrollees move to",
        )


# ------------------------------------------------------------------------------------------------ numbers


def read_numbers(values: pl.Series, table: str, limits: str = "") -> list[Decimal | None]:
    """Return a column as exact decimals, blanks as None.

    Raises
    ------
    InputRefused
        A cell is no number, or outside the limits.
    """
    import polars as pl

    read: list[Decimal | None] = []
    # A float of 32 bits is the decimal that it is written as, not that decimal with the digits of 64 bits.
    column = values.cast(pl.String) if values.dtype == pl.Float32 else values
    for row, value in enumerate(column.to_list(), 1):
        where = f"{table}, column {values.name}, row {row} (first row is 1)"
        number = exact_or_blank(value, where)
        if number is not None and limits:
            check_limits(values.name, limits, number, where)
        read.append(number)
    return read


def give_numbers(draft: Draft, frame: pl.DataFrame, table: str, grain: str, key: str, columns: Iterable[str]) -> None:
    """Give the numbers of a frame to a draft, each at the place that its key column names."""
    places = frame[key].to_list()
    for name in columns:
        quantity = draft.formulas.quantity(name, grain)
        assert quantity is not None
        for place, value in zip(places, read_numbers(frame[name], table, quantity.limits), strict=True):
            if value is not None:
                draft.offer(Entry(name, place, value, quantity.unit, source=f"{table}, {name}"))


def read_current(frame: Any, draft: Draft, plans: Plans) -> None:
    """Give current enrollment, premiums and rates of plans to a draft.

    Raises
    ------
    InputRefused
        A column is not one of them, a plan is not among `plans` or stands twice, a number is unreadable.
    """
    current = collected(frame, "current", ("plan_id",))
    ids = _frames.text_column(current, "current", "plan_id").str.strip_chars()
    broken = (~ids.is_in(list(plans.category_of)).fill_null(False) | ids.is_duplicated()).to_numpy()
    remedy = "a row for each plan in force; one that ends is among `plans` as terminated"
    refuse_rows("PRC-003", "current", "plan_id", broken, "a plan stands twice or is not among `plans`", remedy)
    numbers = [name for name in current.columns if name != "plan_id"]
    loose = [name for name in numbers if draft.formulas.quantity(name, "plan") is None]
    if loose:
        raise refusal(
            "PRC-001",
            f"current has the column {listed(loose)}",
            "current",
            "columns are current_enrollment, current_premium_pmpm, renewal_premium_pmpm, current_calibrated_rate, "
            "current_plan_adjusted_index_rate",
        )
    give_numbers(draft, current.with_columns(ids.alias("plan_id")), "current", "plan", "plan_id", numbers)


def need_values(missing: Iterable[str], where: str, remedy: str) -> None:
    """Refuse an input in which some needed quantities have no value."""
    names = list(missing)
    if names:
        raise refusal("PRC-004", f"{listed(names)}: no value", where, remedy)
