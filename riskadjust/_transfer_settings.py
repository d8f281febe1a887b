"""Settings of a settlement: a given one wins over the published parameter of the benefit year; each use is recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from data_specs import _registry
from data_specs._declared import check_choice, given_settings
from data_specs.errors import SettingRefused, TableMissing

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PARAMETER_TABLE", "SETTLEMENT_CHOICES", "Parameters", "PoolName", "exact_number"]

PARAMETER_TABLE = "transfers/program_parameters"
SETTLEMENT_CHOICES: dict[str, tuple[str, ...]] = {
    "issuer_rounding": ("unrounded_plans", "rounded_plans"),
    "cents_balance": ("off", "largest_remainder"),
    "month_rule": ("days_over_30", "full_month_one"),
    "default_charge_source": ("given", "plans_at_hand"),
    "default_charge_small_issuer": ("off", "premium_share"),
}
# Numbers that no table holds, with what they may be.
_OWN_NUMBERS = {
    "state_reduction": "fraction removed from the finished transfer",
    "default_charge_share": "share of the average premium of the risk pool",
}
_BY_POOL = ("admin_cost_reduction", "default_charge_share", "ra_user_fee_pmpm", "state_reduction")
_STATE_REDUCTION = re.compile(r"^([a-z]{2})_(individual|small_group|merged)_transfer_reduction$")
_SEQUESTRATION = re.compile(r"^fy[0-9]{4}_sequestration_rate$")
_MOST_DECIMALS = 17


class PoolName(NamedTuple):
    """A risk pool of one benefit year. State and market are None where the rows do not say."""

    state: str | None
    risk_pool: str
    market: str | None

    def __str__(self) -> str:
        return f"{self.state} {self.risk_pool}" if self.state else self.risk_pool


_MOST_PLACES = 400  # as far as a float reaches; 1e99999999 as a fraction would fill the memory


def exact_number(value: object, name: str) -> Fraction:
    """Return a number given as text, int, float or Decimal exactly as it is written.

    Examples
    --------
    >>> exact_number("0.14", "admin_cost_reduction") == exact_number(0.14, "admin_cost_reduction") == Fraction(14, 100)
    True
    """
    try:
        if isinstance(value, str | Decimal):
            number = Decimal(value.strip()) if isinstance(value, str) else value
            if number and abs(number.adjusted()) > _MOST_PLACES:
                raise ValueError
            return Fraction(number)
        if isinstance(value, Fraction):
            return value
        if isinstance(value, bool):
            raise TypeError
        if hasattr(value, "__index__"):
            return Fraction(value.__index__())
        if isinstance(value, float) or hasattr(value, "dtype"):
            return Fraction(repr(float(value)))  # type: ignore[arg-type]
        raise TypeError
    except (InvalidOperation, ValueError, OverflowError, TypeError):
        raise SettingRefused(
            f"setting {name!r} cannot be {value!r}",
            rule="a number, as int, float, Decimal or decimal text",
            remedy='write for example "0.14" for 14 percent',
        ) from None


class Parameters:
    """The parameters of one run, by the names of ``transfers/program_parameters`` and of the declared settings.

    Parameters
    ----------
    settings : mapping, optional
        Name -> value. Numbers may be text, int, float or Decimal. ``admin_cost_reduction``, ``default_charge_share``,
        ``ra_user_fee_pmpm`` and ``state_reduction`` may be a mapping from a state, a risk pool, or both
        (``"AL/small_group"`` or ``("AL", "small_group")``) to a number; risk pools it does not name follow the table.
    benefit_year : int
        Its rows of the table are used.
    reader : str
        The function that asks, for messages.

    Raises
    ------
    SettingRefused
        Unknown name, or a value that the setting cannot have.

    Examples
    --------
    >>> parameters = Parameters({"state_reduction": {"AL": "0.5"}}, 2025, "transfers")
    >>> pools = [PoolName("AL", "individual", "individual"), PoolName("GA", "individual", "individual")]
    >>> [float(q) for q in parameters.state_reductions(pools)]
    [0.5, 0.0]
    >>> float(parameters.required("admin_cost_reduction"))
    0.14
    """

    def __init__(self, settings: Mapping[str, Any] | None, benefit_year: int, reader: str) -> None:
        given = given_settings(settings)
        if isinstance(benefit_year, bool) or not hasattr(benefit_year, "__index__"):
            raise SettingRefused(
                f"`benefit_year` is a {type(benefit_year).__name__}", rule="a whole number", remedy="write 2025, say"
            )
        self.benefit_year = int(benefit_year)
        self._reader = reader
        self._rows = _registry.rows(PARAMETER_TABLE).to_dicts()
        self._units = {row["parameter"]: row["unit"] for row in self._rows}
        # A rate of a fiscal year is named for it; its years in the table are that fiscal year.
        of_fiscal_years = [row for row in self._rows if _SEQUESTRATION.match(row["parameter"])]
        in_force = _registry.rows_in_force(PARAMETER_TABLE, self.benefit_year).to_dicts()
        self._table = {row["parameter"]: row for row in [*in_force, *of_fiscal_years]}
        self._lines: dict[tuple[str, str], dict[str, str | None]] = {}
        self._moved: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._of_table: dict[str, list[bool]] = {}
        self._given: dict[str, Any] = {}
        for name, value in given.items():
            self._given[name] = self._read(name, value)

    # ---- reading what was given

    def _read(self, name: object, value: Any) -> Any:
        if not isinstance(name, str) or not self._is_known(name):
            known = sorted({*SETTLEMENT_CHOICES, *_OWN_NUMBERS, *self._units, "gcf_decimals"})
            raise SettingRefused(f"no setting is called {name!r}", remedy="settings: " + ", ".join(known))
        if name in SETTLEMENT_CHOICES:
            return str(check_choice(name, value, SETTLEMENT_CHOICES[name]))
        if name == "gcf_decimals":
            return self._decimals(value)
        if isinstance(value, Mapping):
            if name not in _BY_POOL:
                raise SettingRefused(
                    f"setting {name!r} has one value for all risk pools", remedy="by pool: " + ", ".join(_BY_POOL)
                )
            return {key: self._number(name, item) for key, item in value.items()}
        return self._number(name, value)

    def _is_known(self, name: str) -> bool:
        own = name in SETTLEMENT_CHOICES or name in _OWN_NUMBERS or name == "gcf_decimals" or name in self._units
        return own or bool(_STATE_REDUCTION.match(name) or _SEQUESTRATION.match(name))

    @staticmethod
    def _decimals(value: Any) -> str:
        if value is None or value == "none":
            return "none"
        number = exact_number(value, "gcf_decimals")
        if number.denominator != 1 or not 0 <= number <= _MOST_DECIMALS:
            raise SettingRefused(
                f"setting 'gcf_decimals' cannot be {value!r}", remedy=f"none, or 0 to {_MOST_DECIMALS} decimals"
            )
        return str(number)

    def _number(self, name: str, value: Any) -> Fraction:
        number = exact_number(value, name)
        is_share = self._unit(name).startswith(("fraction", "percentile"))
        if number < 0 or (is_share and number > 1):
            rule = f"{name} is a {self._unit(name)}" + (", 0 to 1" if is_share else ", zero or more")
            remedy = "14 percent is 0.14" if is_share else "give a number of zero or more"
            raise SettingRefused(f"setting {name!r} cannot be {value!r}", rule=rule, remedy=remedy)
        return number

    def _unit(self, name: str) -> str:
        if name in _OWN_NUMBERS:
            return _OWN_NUMBERS[name]
        return str(self._units.get(name, "fraction"))  # rates of states and fiscal years that no row names yet

    # ---- asking

    def choice(self, name: str) -> str:
        """Return the chosen word of a declared setting."""
        value = str(self._given.get(name, SETTLEMENT_CHOICES[name][0]))
        self._note(name, "", value, "given" if name in self._given else "default")
        return value

    def record_month_rule_and_decimals(self) -> None:
        """Put down how the plan rows were made, as far as the settings say; nothing here depends on it."""
        self.choice("month_rule")
        given = "gcf_decimals" in self._given
        self._note("gcf_decimals", "", self._given.get("gcf_decimals", "none"), "given" if given else "default")

    def number(self, name: str) -> Fraction | None:
        """Return a parameter, given or of the table; None where neither has it."""
        if name in self._given:
            self._note(name, "", self._given[name], "given")
            return Fraction(self._given[name])
        return self._from_table(name, "")

    def required(self, name: str) -> Fraction:
        """Return a parameter, or refuse the year."""
        value = self.number(name)
        if value is not None:
            return value
        raise TableMissing(
            f"no {name} is held for benefit year {self.benefit_year}",
            where=PARAMETER_TABLE,
            rule="a year is settled only with its own published parameters",
            remedy=f'give it knowingly as settings={{"{name}": ...}}, or supply the table (data_specs.use, --tables)',
        )

    def by_pool(self, name: str, pools: Sequence[PoolName], *, required: bool = True) -> list[Fraction | None]:
        """Return a parameter for each risk pool: what was given for it, else for all, else the table's."""
        given = self._given.get(name)
        self._of_table[name] = [name not in self._given] * len(pools)
        if not isinstance(given, dict):
            value = self.required(name) if required else self.number(name)
            return [value] * len(pools)
        named = self._named(name, given, pools)
        self._of_table[name] = [own is None for own in named]
        found: list[Fraction | None] = []
        for pool, own in zip(pools, named, strict=True):
            if own is not None:
                self._note(name, str(pool), own, "given")
                found.append(own)
            else:
                found.append(self._from_table(name, "all others"))
                if found[-1] is None and required:
                    raise self._not_named(name, pool)
        return found

    def _not_named(self, name: str, pool: PoolName) -> TableMissing:
        return TableMissing(
            f"no {name} is held for benefit year {self.benefit_year}, and none was given for {pool}",
            where=PARAMETER_TABLE,
            remedy="name every risk pool, or give one number",
        )

    def state_reductions(self, pools: Sequence[PoolName]) -> list[Fraction]:
        """Return q of each risk pool: the setting ``state_reduction``, else the row of its state and market, else 0."""
        given = self._given.get("state_reduction")
        if given is not None and not isinstance(given, dict):
            self._note("state_reduction", "", given, "given")
            return [given] * len(pools)
        named = self._named("state_reduction", given or {}, pools)
        return [self._state_reduction(pool, own) for pool, own in zip(pools, named, strict=True)]

    def _state_reduction(self, pool: PoolName, own: Fraction | None) -> Fraction:
        if own is not None:
            self._note("state_reduction", str(pool), own, "given")
            return own
        if pool.state is None or pool.market is None:
            self._note("state_reduction", str(pool), Fraction(0), "default: state or market not given, no state rule")
            return Fraction(0)
        name = f"{pool.state.lower()}_{pool.market}_transfer_reduction"
        if name in self._given:
            self._note("state_reduction", str(pool), self._given[name], f"given: {name}")
            return Fraction(self._given[name])
        value = self._from_table(name, str(pool), shown_as="state_reduction")
        if value is None:
            self._note("state_reduction", "all others", Fraction(0), "default: no reduction is published")
            return Fraction(0)
        return value

    def last_year_of_state_reductions(self) -> int | None:
        """Return the last benefit year for which the table holds a state's reduction; None where it has no end."""
        years = [row["last_benefit_year"] for row in self._rows if _STATE_REDUCTION.match(row["parameter"])]
        return None if not years or None in years else max(years)

    def sequestration(self) -> Fraction | None:
        """Return the share of payments withheld in the fiscal year in which the benefit year is settled, if held."""
        return self.number(f"fy{self.benefit_year + 1}_sequestration_rate")

    def _named(self, name: str, given: dict[Any, Fraction], pools: Sequence[PoolName]) -> list[Fraction | None]:
        """Return what a mapping says of each pool: its full name before its state or its risk pool."""
        used: set[Any] = set()
        found: list[Fraction | None] = []
        for pool in pools:
            full = [key for key in given if key in ((pool.state, pool.risk_pool), f"{pool.state}/{pool.risk_pool}")]
            half = [key for key in given if key in (pool.state, pool.risk_pool)]
            used.update(full + half)
            chosen = full or half
            if len({given[key] for key in chosen}) > 1:
                raise SettingRefused(
                    f"setting {name!r} has two values for the risk pool {pool}",
                    remedy=f"name it in full, as {pool.state}/{pool.risk_pool}",
                )
            found.append(given[chosen[0]] if chosen else None)
        if unused := [str(key) for key in given if key not in used]:
            raise SettingRefused(
                f"setting {name!r} names no risk pool of these rows: " + ", ".join(sorted(unused)),
                remedy='keys are a state, a risk pool, or both as "AL/small_group"',
            )
        return found

    def _from_table(self, name: str, applies_to: str, shown_as: str = "") -> Fraction | None:
        row = self._table.get(name)
        if row is None:
            return None
        years = f"{row['first_benefit_year']}-{row['last_benefit_year'] or ''}"
        line = f"{PARAMETER_TABLE} {name}, row {row['_row']}, {years}"
        value = Fraction(repr(row["value"]))
        self._note(shown_as or name, applies_to, value, "table", line, row["verification"])
        return value

    # ---- what was used

    def _note(
        self,
        name: str,
        applies_to: str,
        value: object,
        source: str,
        table_row: str | None = None,
        verification: str | None = None,
    ) -> None:
        text = _shown(value) if isinstance(value, Fraction) else str(value)
        self._lines[name, applies_to] = {
            "setting": name,
            "applies_to": applies_to or "all",
            "value": text,
            "source": source,
            "table_row": table_row,
            "verification": verification,
        }

    def moved(self, name: str, what: str, rows: int, applies_to: str = "") -> None:
        """Put down that a parameter moved so many rows of a result."""
        if rows:
            self._moved.setdefault((name, applies_to), []).append({"moved": what, "rows": rows})

    def moved_pools(self, name: str, what: str, rows: Sequence[int]) -> None:
        """Put down how many rows of each risk pool a parameter moved, where it came from the table."""
        count = sum(n for n, of_table in zip(rows, self._of_table[name], strict=True) if of_table)
        self.moved(name, what, count, "" if (name, "") in self._lines else "all others")

    def uncertain(self) -> pl.DataFrame:
        """Return table, what, moved, rows: the uncertain figures of the table that moved the result."""
        import polars as pl

        lines = []
        for key, moves in sorted(self._moved.items()):
            line = self._lines.get(key)
            if line is None or line["verification"] != "uncertain":
                continue
            what = f"{str(line['table_row']).removeprefix(PARAMETER_TABLE + ' ')}: {line['value']}"
            what += f" ({line['applies_to']})" if key[1] else ""
            lines += [{"table": PARAMETER_TABLE, "what": what, **move} for move in moves]
        return pl.DataFrame(lines, schema={"table": pl.String, "what": pl.String, "moved": pl.String, "rows": pl.Int64})

    def frame(self) -> pl.DataFrame:
        """Return setting, applies_to, value, source, table_row, verification of every parameter that was asked for.

        What was given and never asked for is listed too, as not used.
        """
        import polars as pl

        asked = {name for name, _ in self._lines} | {
            str(line["source"]).removeprefix("given: ") for line in self._lines.values()
        }
        for name in sorted(set(self._given) - asked):
            value = self._given[name]
            text = "by risk pool" if isinstance(value, dict) else value
            self._note(name, "", text, f"given, not used by {self._reader}")
        columns = ["setting", "applies_to", "value", "source", "table_row", "verification"]
        lines = [line for _, line in sorted(self._lines.items())]
        return pl.DataFrame(lines, schema=dict.fromkeys(columns, pl.String))


def _shown(number: Fraction) -> str:
    """Return a number as the decimal it was written as."""
    if number.denominator == 1:
        return str(number)
    decimal = Decimal(number.numerator) / Decimal(number.denominator)
    return f"{decimal:f}"
