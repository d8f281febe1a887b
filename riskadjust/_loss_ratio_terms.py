"""Settings and published figures of medical loss ratios: standards, years of a ratio, merged states, options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from data_specs import _registry
from data_specs._declared import Declared
from data_specs._units import half_up_div
from data_specs.errors import InputRefused, SettingRefused, TableMissing
from riskadjust._mlr_credibility import CREDIBILITY_TABLE
from riskadjust._refusals import rule_text
from riskadjust._stabilizer_figures import UsedFigures
from riskadjust._transfer_settings import exact_number

__all__ = ["GROUP_MARKETS", "MARKETS", "MERGED", "MERGING", "LossRatioSettings", "Terms", "rounded_ratio"]

TERMS_TABLE, MERGED_TABLE, CORRIDOR_TABLE = (
    "transfers/stabilizer_terms",
    "transfers/merged_markets",
    "transfers/risk_corridors",
)
REINSURANCE_TABLE, PARAMETER_TABLE = "transfers/transitional_reinsurance", "transfers/program_parameters"
PROGRAM = "medical_loss_ratio"
MERGED = "merged"
MERGING = ("individual", "small_group")  # the markets that a state may merge
GROUP_MARKETS = ("small_group", "large_group")
MARKETS = (*MERGING, "large_group", MERGED)
_MOST_DECIMALS = 12


@dataclass(frozen=True)
class LossRatioSettings(Declared):
    """The open points of the rules; see :func:`riskadjust.medical_loss_ratio`."""

    CHOICES: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "missing_years": ("refuse", "no_business"),
        "deductible_factor": ("average", "one"),
        "low_years": ("reported", "single_year", "off"),
        "quality": ("actual", "flat"),
        "qualifying_rebate_base": ("premium", "premium_and_transfers"),
        "small_rebates": ("evenly", "by_rebate"),
    }
    ratio_decimals: Any = None
    standard: Any = None
    merged_states: Any = None
    missing_years: str = "refuse"
    deductible_factor: str = "average"
    low_years: str = "reported"
    quality: str = "actual"
    transfer_option: Any = None
    qualifying_share: Any = None
    qualifying_rebate_base: str = "premium"
    small_rebates: str = "evenly"

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        if name in cls.CHOICES:
            return super()._checked(name, value)
        if value is None:
            return None
        return _OWN[name](name, value)


def _decimals(name: str, value: Any) -> Any:
    if isinstance(value, str) and value == "none":
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= int(value) <= _MOST_DECIMALS:
        rule = f"a whole number, 0 to {_MOST_DECIMALS}, or 'none'"
        raise SettingRefused(f"setting {name!r} cannot be {value!r}", rule=rule, remedy="3 decimals are 0.799")
    return int(value)


def _share(name: str, value: Any) -> Fraction:
    number = exact_number(value, name)
    if not 0 < number <= 1:
        raise SettingRefused(
            f"setting {name!r} cannot be {value!r}", rule="a share above 0, at most 1", remedy="80 percent is 0.8"
        )
    return number


def _standards(name: str, value: Any) -> dict[str, Fraction]:
    """Return standards by ``state/market``, ``state``, ``market`` or "" (all)."""
    if not isinstance(value, Mapping):
        return {"": _share(name, value)}
    found = {}
    for key, number in value.items():
        parts = str(key).split("/")
        if len(parts) > 2 or not all(_is_place(part) for part in parts):
            raise SettingRefused(
                f"setting {name!r} has the key {key!r}",
                rule='a state, a market, or both: "NY", "individual", "NY/individual"',
                remedy="rename the key; markets: " + ", ".join(MARKETS),
            )
        found[str(key)] = _share(name, number)
    return found


def _is_place(text: str) -> bool:
    return text in MARKETS or (len(text) == 2 and text.isascii() and text.isalpha() and text.isupper())


def _texts(name: str, value: Any) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, Iterable) or isinstance(items, Mapping):
        raise SettingRefused(f"setting {name!r} is a {type(value).__name__}", remedy="write a list of texts")
    found = tuple(sorted({str(item).strip() for item in items}))
    if name == "merged_states" and not all(_is_place(state) and state not in MARKETS for state in found):
        raise SettingRefused(f"setting {name!r} names no state", rule="two capital letters each", remedy='["MA"], say')
    return found


def _option(name: str, value: Any) -> Any:
    return value if isinstance(value, str) and value == "all" else _texts(name, value)


_OWN = {
    "ratio_decimals": _decimals,
    "standard": _standards,
    "merged_states": _texts,
    "transfer_option": _option,
    "qualifying_share": _share,
}


def rounded_ratio(ratio: Fraction, decimals: int | None) -> Fraction:
    """Return a ratio to so many decimals, halves away from zero; None: as it is.

    Examples
    --------
    >>> rounded_ratio(Fraction("0.7985"), 3), rounded_ratio(Fraction("0.79849"), 3)
    (Fraction(799, 1000), Fraction(399, 500))
    """
    if decimals is None:
        return ratio
    scale = 10**decimals
    return Fraction(half_up_div((ratio * scale).numerator, (ratio * scale).denominator), scale)


class Terms:
    """The figures of one reporting year, put down as they are used."""

    def __init__(self, reporting_year: int, chosen: LossRatioSettings, given: set[str], used: UsedFigures) -> None:
        self.reporting_year, self.chosen, self.used = reporting_year, chosen, used
        self._tables = {(row["table"], row["key"]): row for row in _registry.rows(CREDIBILITY_TABLE).to_dicts()}
        rows = _registry.rows(TERMS_TABLE).to_dicts()
        self._terms = [row for row in rows if row["program"] == PROGRAM]
        for name in LossRatioSettings.names():
            if name not in ("ratio_decimals", "standard", "merged_states", "qualifying_share"):
                value = getattr(chosen, name)
                shown = (", ".join(value) or "none") if isinstance(value, tuple) else value
                (used.given if name in given else used.default)(name, "off" if shown is None else shown)
        self.decimals = self._decimals()
        if self._term("years_in_ratio", reporting_year) is None:
            raise InputRefused(
                f"there was no medical loss ratio in reporting year {reporting_year}",
                where="reporting_year",
                rule=rule_text("MLR-006"),
                remedy="report a year from 2011 on",
            )

    def _term(self, parameter: str, year: int, state: str = "US") -> dict[str, Any] | None:
        for row in self._terms:
            is_held = row["first_benefit_year"] <= year <= (row["last_benefit_year"] or year)
            if is_held and row["parameter"] == parameter and row["state"] == state:
                return row
        return None

    def _of_term(self, name: str, row: dict[str, Any], applies_to: str = "all") -> Fraction:
        value = Fraction(repr(row["value"]))
        self.used.of_row(name, value, TERMS_TABLE, row, row["verification"], applies_to=applies_to)
        return value

    def _of_table(self, table: str, key: str, name: str, applies_to: str = "all") -> Fraction:
        row = self._tables.get((table, key))
        if row is None:
            raise TableMissing(f"{CREDIBILITY_TABLE} has no row {table}, {key}", where=CREDIBILITY_TABLE)
        value = Fraction(row["value"])
        self.used.of_row(name, value, CREDIBILITY_TABLE, row, row["verification"], applies_to=applies_to)
        return value

    def _decimals(self) -> int | None:
        given = self.chosen.ratio_decimals
        if given is None:
            return int(self._of_table("ratio_decimals", "mlr", "ratio_decimals"))
        self.used.given("ratio_decimals", given)
        return None if given == "none" else given

    def credibility_moved(self, rows: Mapping[str, int]) -> None:
        """Put down rows of the credibility tables that are marked uncertain, each with how many additions it moved."""
        for (table, key), row in self._tables.items():
            name = f"{table} {key}"
            if rows.get(name):
                self.used.of_row(name, row["value"], CREDIBILITY_TABLE, row, row["verification"])
                self.used.moved(name, "mlr of issuers", rows[name])

    # -------------------------------------------------------------------------------------------- years and markets

    def years_in_ratio(self, year: int) -> int:
        """Return how many reporting years the ratio of a year rests on; 0 before the program."""
        row = self._term("years_in_ratio", year)
        if row is not None and year == self.reporting_year:
            self._of_term("years_in_ratio", row)
        return 0 if row is None else int(row["value"])

    def first_reporting_year(self) -> int:
        """Return the first year that had a medical loss ratio."""
        return min(int(row["first_benefit_year"]) for row in self._terms if row["parameter"] == "years_in_ratio")

    def merged_states(self, states: Iterable[str]) -> set[str]:
        """Return those of the states that merge individual and small group in the reporting year."""
        if self.chosen.merged_states is not None:
            self.used.given("merged_states", ", ".join(self.chosen.merged_states) or "none")
            return set(self.chosen.merged_states) & set(states)
        found = set()
        for row in _registry.rows_in_force(MERGED_TABLE, self.reporting_year).to_dicts():
            if row["state"] in states:
                self.used.of_row(
                    "merged_market", MERGED, MERGED_TABLE, row, row["verification"], applies_to=row["state"]
                )
                found.add(row["state"])
        return found

    def first_transfer_year(self) -> int:
        """Return the first benefit year of risk adjustment."""
        return int(min(_registry.rows(PARAMETER_TABLE)["first_benefit_year"].to_list()))

    def corridor_years(self) -> tuple[int, int]:
        """Return the first and last year of the risk corridors."""
        years = [y for text in _registry.rows(CORRIDOR_TABLE)["benefit_year"].to_list() for y in text.split("-")]
        return int(min(years)), int(max(years))

    def reinsurance_years(self) -> tuple[int, int]:
        """Return the first and last year of transitional reinsurance."""
        years = _registry.rows(REINSURANCE_TABLE)["benefit_year"].to_list()
        return int(min(years)), int(max(years))

    # -------------------------------------------------------------------------------------------- figures

    def standard(self, state: str, market: str, year: int) -> Fraction:
        """Return the standard of a state and market in a reporting year: the federal one, or a higher one of the state.

        A merged market has the highest of its markets, also of standards that are given for one of them.
        """
        given = self.chosen.standard or {}
        found = []
        for own in MERGING if market == MERGED else (market,):
            keys = (f"{state}/{market}", f"{state}/{own}", state, market, own, "")
            key = next((key for key in keys if key in given), None)
            if key is not None:
                self.used.given("standard", given[key], applies_to=key or "all")
                found.append(Fraction(given[key]))
                continue
            federal = self._of_table("standard", own, "standard", applies_to=own)
            row = self._term(f"standard_{own}", year, state)
            higher = federal if row is None else self._of_term("standard", row, applies_to=f"{state} {own}")
            found += [federal, higher]
        return max(found)

    def least_rebate_cents(self, key: str) -> int:
        """Return the least rebate that is paid to a policyholder or subscriber, in cents."""
        return int(self._of_table("de_minimis", key, f"least rebate, {key}") * 100)

    def flat_quality_share(self, year: int) -> Fraction | None:
        """Return the share of premium that stands for quality improvement in a year; None: there is none."""
        row = self._term("flat_quality_share", year)
        return None if row is None else self._of_term("flat_quality_share", row, applies_to="all")

    def qualifying_share(self) -> Fraction | None:
        """Return from which share of premium net transfers qualify for the option; None where it does not exist.

        Raises
        ------
        InputRefused
            The option is elected, the reporting year has none, and no share is given knowingly.
        """
        if self.chosen.qualifying_share is not None:
            self.used.given("qualifying_share", self.chosen.qualifying_share)
            return Fraction(self.chosen.qualifying_share)
        row = self._term("qualifying_transfer_share", self.reporting_year)
        if row is not None:
            return self._of_term("qualifying_share", row)
        if self.chosen.transfer_option:
            raise InputRefused(
                f"reporting year {self.reporting_year} has no option for large transfers",
                where="settings, transfer_option",
                rule=rule_text("MLR-012"),
                remedy='leave it out, or give the share knowingly as settings={"qualifying_share": ...}',
            )
        return None

    def elected(self) -> set[str]:
        """Return the issuers that are named as electing the option for large transfers."""
        option = self.chosen.transfer_option
        return set() if option in (None, "all") else set(option)

    def elects(self, issuer_id: str) -> bool:
        """Whether an issuer elects the option for large transfers."""
        return self.chosen.transfer_option == "all" or issuer_id in self.elected()
