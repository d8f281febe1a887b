"""The terms of a reinsurance program: of a published table by state, year and area, or given; each with its source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from data_specs import _registry
from data_specs._declared import Declared, check_choice
from data_specs.errors import InputRefused, SettingRefused, TableMissing, TableRefused
from riskadjust._findings import Findings
from riskadjust._high_cost import was_left_out
from riskadjust._refusals import rule_text
from riskadjust._reinsurance_layers import MICRO, HighCostTerms, Layer, read_layers
from riskadjust._stabilizer_figures import UsedFigures
from riskadjust._transfer_settings import PARAMETER_TABLE, Parameters, exact_number

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ALL_AREAS", "PROGRAMS", "Program", "ReinsuranceSettings", "read_program"]

TRANSITIONAL, STATE = PROGRAMS = ("transitional", "state")
TRANSITIONAL_TABLE = "transfers/transitional_reinsurance"
STATE_TABLE, LAYER_TABLE = "transfers/state_reinsurance_1332", "transfers/state_reinsurance_layers"
TERMS_TABLE = "transfers/stabilizer_terms"
ALL_AREAS = ""
_EXCEPT = re.compile(r"(\S+) except (\w+) \((.+)\)")
_PAID = "payment of enrollees"


@dataclass(frozen=True)
class ReinsuranceSettings(Declared):
    """The open points of reinsurance; see :func:`riskadjust.reinsurance`."""

    CHOICES: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "coinsurance_basis": ("final", "announced"),
        "high_cost_order": ("none", "net_first", "dampening"),
        "cents_balance": ("off", "largest_remainder"),
    }
    NUMBERS: ClassVar[tuple[str, ...]] = ("dampening_factor", "hcrp_threshold", "hcrp_coinsurance")

    coinsurance_basis: str = "final"
    high_cost_order: str = "none"
    cents_balance: str = "off"
    dampening_factor: Any = None
    hcrp_threshold: Any = None
    hcrp_coinsurance: Any = None

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        if name not in cls.NUMBERS:
            return super()._checked(name, value)
        number = None if value is None else exact_number(value, name)
        if name == "dampening_factor" and number is not None and not 0 < number <= 1:
            raise SettingRefused(f"setting {name!r} cannot be {value!r}", rule="a factor above 0 and at most 1")
        return number


@dataclass(frozen=True)
class Program:
    """The terms of one run.

    Attributes
    ----------
    name, state : str, str or None
        transitional or state; the state of the program.
    layers : dict
        Layers by rating area; the key ALL_AREAS: the same for all.
    has_condition_list : bool
        Whether enrollees are reinsured by condition.
    budget : Fraction or None
        Dollars.
    high_cost : HighCostTerms or None
        What is taken off the claims first.
    factor : Fraction
        The dampening factor, else 1.
    contribution : Fraction or None
        Dollars per covered life-year.
    settings : ReinsuranceSettings
    parameters : Parameters or None
        Of the high-cost risk pool, when they were asked for.
    used : UsedFigures
    """

    name: str
    state: str | None
    layers: dict[str, tuple[Layer, ...]]
    has_condition_list: bool
    budget: Fraction | None
    high_cost: HighCostTerms | None
    factor: Fraction
    contribution: Fraction | None
    settings: ReinsuranceSettings
    parameters: Parameters | None
    used: UsedFigures

    def put_down_moves(self, paid: int, netted: int, *, is_scaled: bool, contributing: int) -> None:
        """Put down how many rows each figure moved."""
        for name in ("attachment_and_cap", "coinsurance", "further_layer", "budget"):
            for applies_to in self.used.applied(name):
                self.used.moved(name, _PAID, paid if name != "budget" or is_scaled else 0, applies_to)
        self.used.moved("contribution", "contribution of issuers", contributing)
        if self.parameters is not None:
            for name in ("hcrp_threshold", "hcrp_coinsurance"):
                self.parameters.moved(name, "claims net of the high-cost risk pool", netted)

    def settings_frame(self) -> pl.DataFrame:
        """Return every figure and choice used, as settings."""
        import polars as pl

        own = self.used.frame()
        return (
            own if self.parameters is None else pl.concat([own, self.parameters.frame()]).sort("setting", "applies_to")
        )

    def tables(self) -> list[str]:
        """Return the tables that figures were taken from."""
        return sorted({*self.used.tables(), *([] if self.parameters is None else [PARAMETER_TABLE])})

    def uncertain(self) -> pl.DataFrame:
        """Return the uncertain figures that moved the result."""
        import polars as pl

        own = self.used.uncertain()
        return own if self.parameters is None else pl.concat([own, self.parameters.uncertain()])


def read_program(
    name: str,
    year: int,
    *,
    state: str | None,
    layers: Any,
    coinsurance: Any,
    budget: Any,
    settings: Mapping[str, Any] | None,
    findings: Findings,
) -> Program:
    """Return the terms of a run: what is given wins over the tables; every figure is put down with its source."""
    check_choice("program", name, PROGRAMS)
    chosen, used = ReinsuranceSettings.of(settings), UsedFigures()
    place = _state_of(name, state)
    if layers is not None and coinsurance is not None:
        raise SettingRefused(
            "layers and a coinsurance are both given", remedy="a layer has its share: give the layers alone"
        )
    for setting in ReinsuranceSettings.CHOICES:
        is_given = setting in (settings or {})
        (used.given if is_given else used.default)(setting, getattr(chosen, setting))
    has_list, contribution = False, None
    if name == TRANSITIONAL:
        row = _transitional_row(year)
        found = _given_layers(layers, used) or _transitional_layers(row, chosen, coinsurance, used)
        contribution = Fraction(repr(row["contribution_usd_per_enrollee_year"]))
        mark = _mark(row["verification"], "contribution_usd_per_enrollee_year")
        used.of_row("contribution", contribution, TRANSITIONAL_TABLE, row, mark)
    else:
        assert place is not None
        given = _given_layers(layers, used)
        found, has_list = (given, False) if given else _state_layers(place, year, coinsurance, used, findings)
    high_cost, factor, parameters = _high_cost_order(chosen, year, used)
    money = _budget(budget, name, place, year, used, is_published=layers is None)
    return Program(
        name, place, found, has_list, money, high_cost, factor, contribution, chosen, parameters, used
    )  # fmt: skip


def _state_of(name: str, state: Any) -> str | None:
    if name == TRANSITIONAL:
        if state is None:
            return None
        raise SettingRefused("the transitional program is national", remedy="leave `state` out")
    text = state.strip().upper() if isinstance(state, str) else ""
    if re.fullmatch("[A-Z]{2}", text):
        return text
    raise SettingRefused(f"`state` cannot be {state!r}", rule="two letters", remedy='write state="MD", say')


def _no_program(where: str, remedy: str) -> InputRefused:
    return InputRefused(
        f"no terms of a reinsurance program are held for {where}",
        where="benefit_year",
        rule=rule_text("REI-008"),
        remedy=remedy,
    )


def _mark(verification: str, column: str) -> str:
    """Return how sure one figure of a row is, where the row says "... except <column> (...)"."""
    parts = _EXCEPT.fullmatch(verification)
    if parts is None:
        return verification
    return parts[3] if parts[2] == column else parts[1]


# ------------------------------------------------------------------------------------------------ layers


def _given_layers(layers: Any, used: UsedFigures) -> dict[str, tuple[Layer, ...]]:
    if layers is None:
        return {}
    found = {}
    for name, each in _by_area(layers, "layers"):
        found[name] = read_layers(each, f"layers of area {name}" if name else "layers")
        used.given("layers", _layers_text(found[name]), name or "all")
    if not found:
        read_layers([])
    return found


def _by_area(given: Any, name: str) -> list[tuple[str, Any]]:
    """Return what is given for each rating area, or for all."""
    if not isinstance(given, Mapping):
        return [(ALL_AREAS, given)]
    found = [(str(area).strip(), each) for area, each in given.items()]
    if len(dict(found)) == len(found) and ALL_AREAS not in dict(found):
        return found
    raise SettingRefused(f"`{name}` names a rating area twice, or a blank one", remedy="name each area once")


def _layers_text(layers: tuple[Layer, ...]) -> str:
    return "; ".join(
        f"{float(each.share):g} from {float(each.start):.2f}"
        + ("" if each.stop is None else f" to {float(each.stop):.2f}")
        for each in layers
    )


def _transitional_row(year: int) -> dict[str, Any]:
    for row in _registry.rows(TRANSITIONAL_TABLE).to_dicts():
        if row["benefit_year"] == year:
            return dict(row)
    raise _no_program(f"benefit year {year} (transitional)", "settle 2014, 2015 or 2016, or a program of a state")


def _transitional_layers(
    row: dict[str, Any], chosen: ReinsuranceSettings, coinsurance: Any, used: UsedFigures
) -> dict[str, tuple[Layer, ...]]:
    low, high = row["attachment_point_usd"], row["cap_usd"]
    text, mark = f"{low} to {high}", _mark(row["verification"], "attachment_point_usd")
    used.of_row("attachment_and_cap", text, TRANSITIONAL_TABLE, row, mark)
    if coinsurance is not None:
        return _with_shares((low, high), coinsurance, [], used)
    column = f"{chosen.coinsurance_basis}_coinsurance"
    share = Fraction(repr(row[column]))
    used.of_row("coinsurance", share, TRANSITIONAL_TABLE, row, _mark(row["verification"], column))
    return {ALL_AREAS: read_layers([(low, high, share)])}


def _with_shares(
    bounds: tuple[Any, Any], coinsurance: Any, further: list[tuple[Any, Any, Any]], used: UsedFigures
) -> dict[str, tuple[Layer, ...]]:
    found = {}
    for name, share in _by_area(coinsurance, "coinsurance"):
        used.given("coinsurance", exact_number(share, "coinsurance"), name or "all")
        found[name] = read_layers(
            [(*bounds, share), *further], f"coinsurance of area {name}" if name else "coinsurance"
        )
    if not found:
        raise SettingRefused("`coinsurance` names no area", remedy="write it as {area: share}")
    return found


def _state_row(state: str, year: int) -> dict[str, Any]:
    """Return the program of a state in a year; of two rows the one whose attachment is held."""
    rows = [
        row
        for row in _registry.rows(STATE_TABLE).to_dicts()
        if row["state"] == state and row["first_year"] <= year <= (row["last_year"] or year)
    ]
    withdrawn = [row for row in rows if "withdrawn" in row["design"]]
    rows = [row for row in rows if row not in withdrawn]
    if not rows:
        about = " (withdrawn: it never ran)" if withdrawn else ""
        raise _no_program(f"{state} {year}{about}", "give the terms knowingly as layers=[(from, to, share)]")
    complete = [row for row in rows if row["attachment_usd"] is not None] or rows
    if len(complete) > 1:
        raise TableRefused(
            f"{state} has {len(complete)} programs in {year}", where=STATE_TABLE, remedy="mend the table supplied"
        )
    return dict(complete[0])


def _state_layers(
    state: str, year: int, coinsurance: Any, used: UsedFigures, findings: Findings
) -> tuple[dict[str, tuple[Layer, ...]], bool]:
    row = _state_row(state, year)
    has_list = "condition list" in row["design"]
    further = _further_layers(state, year, used)
    low, high = row["attachment_usd"], row["cap_usd"]
    if low is None or high is None:
        if not further or coinsurance is not None or low is not None:
            raise TableMissing(
                f"the terms of {state} {year} are not held in full",
                where=f"{STATE_TABLE}, row {row['_row']}",
                remedy="give them knowingly as layers=[(from, to, share)]",
            )
        return {ALL_AREAS: read_layers(further)}, has_list
    used.of_row("attachment_and_cap", f"{low:g} to {high:g}", STATE_TABLE, row, row["verification"])
    numbers = [Fraction(text) for text in re.findall(r"[0-9]+\.[0-9]+", row["coinsurance"])]
    if coinsurance is not None:
        found = _with_shares((low, high), coinsurance, further, used)
        outside = [1 for each in found.values() if not min(numbers) <= each[0].share <= max(numbers)]
        findings.note("REI-024", "coinsurance", len(outside) if len(numbers) > 1 else 0)
        return found, has_list
    if len(numbers) != 1:
        raise SettingRefused(
            f"the coinsurance of {state} {year} differs by area: {row['coinsurance']}",
            rule=f"{STATE_TABLE}, row {row['_row']}; which area has which is not held",
            remedy='give it as coinsurance={"1": 0.45, ...}, by rating area',
        )
    used.of_row("coinsurance", numbers[0], STATE_TABLE, row, row["verification"])
    return {ALL_AREAS: read_layers([(low, high, numbers[0]), *further])}, has_list


def _further_layers(state: str, year: int, used: UsedFigures) -> list[tuple[Any, Any, Any]]:
    rows = [row for row in _registry.rows_in_force(LAYER_TABLE, year).to_dicts() if row["state"] == state]
    rows.sort(key=lambda row: row["from_usd"])
    for number, row in enumerate(rows, 1):
        end = "" if row["to_usd"] is None else f" to {row['to_usd']:g}"
        text = f"{row['share']:g} from {row['from_usd']:g}{end}"
        applies_to = "all" if len(rows) == 1 else f"layer {number}"
        used.of_row("further_layer", text, LAYER_TABLE, row, row["verification"], applies_to=applies_to)
    return [(row["from_usd"], row["to_usd"], row["share"]) for row in rows]


# ------------------------------------------------------------------------------------------------ money


def _budget(
    given: Any, name: str, state: str | None, year: int, used: UsedFigures, *, is_published: bool
) -> Fraction | None:
    """Return the money of the program: what is given, else the limit that is published with its terms."""
    if given is not None:
        money = exact_number(given, "budget")
        if money <= 0 or (money * 100).denominator != 1:
            raise InputRefused(
                "the budget cannot be",
                where="budget",
                rule=rule_text("REI-007"),
                remedy="give dollars above zero, or leave it out",
            )
        used.given("budget", money)
        return money
    rows = _registry.rows_in_force(TERMS_TABLE, year).to_dicts() if name == STATE and is_published else []
    for row in rows:
        if (row["program"], row["parameter"], row["state"]) == ("state_reinsurance", "budget_usd", state):
            used.of_row("budget", Fraction(repr(row["value"])), TERMS_TABLE, row, row["verification"])
            return Fraction(repr(row["value"]))
    used.default("budget", "none")
    return None


def _high_cost_order(
    chosen: ReinsuranceSettings, year: int, used: UsedFigures
) -> tuple[HighCostTerms | None, Fraction, Parameters | None]:
    """Return what is taken off the claims first, and what every payment is multiplied by."""
    factor, order = chosen.dampening_factor, chosen.high_cost_order
    if (factor is None) == (order == "dampening"):
        raise SettingRefused(
            "`high_cost_order` dampening and a `dampening_factor` belong together",
            remedy="give both: the factor is the state's, and none is published here",
        )
    own = {n: v for n in ("hcrp_threshold", "hcrp_coinsurance") if (v := getattr(chosen, n)) is not None}
    if own and order != "net_first":
        raise SettingRefused(
            f"{', '.join(own)} given, and the high-cost risk pool is not netted first",
            remedy='add settings={"high_cost_order": "net_first"}',
        )
    if order == "none":
        return None, Fraction(1), None
    if order == "dampening":
        used.given("dampening_factor", factor)
        return None, factor, None
    if was_left_out(year):
        raise InputRefused(
            f"there is no high-cost risk pool for benefit year {year}",
            where="high_cost_order",
            rule=rule_text("TRF-059"),
            remedy="leave high_cost_order at none",
        )
    parameters = Parameters(own, year, "reinsurance")
    threshold, share = parameters.required("hcrp_threshold"), parameters.required("hcrp_coinsurance")
    if (threshold * MICRO).denominator != 1:
        raise SettingRefused("'hcrp_threshold' has more than six decimals", remedy="give dollars and cents")
    return HighCostTerms(threshold, share), Fraction(1), parameters
