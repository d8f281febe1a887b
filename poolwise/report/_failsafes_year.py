"""The failsafes of one run, and what each of them does to one issuer's year."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report._settlement import Settlement, Steps
from poolwise.report._suppression import SMALLEST_SHOWN, hidden_cells
from poolwise.report._transfer_figures import IssuerLine, hidden_issuers, is_too_small, pool_figures

if TYPE_CHECKING:
    from riskadjust import LossRatios, RadvAdjustment, RadvConfidence, Reinsurance, RiskCorridors
    from riskadjust._reinsurance_effect import PremiumEffect
    from riskadjust._reinsurance_program import Program

__all__ = [
    "PROGRAMS",
    "Failsafes",
    "IssuerYear",
    "YearLine",
    "hidden_payment",
    "issuer_year",
    "issuers_of",
    "shown_adjustments",
    "shown_year",
]

# The programs in the order in which they come to an issuer's year.
PROGRAMS = {
    "transfers": "Risk adjustment",
    "high_cost_risk_pool": "High-cost risk pool",
    "reinsurance": "Reinsurance",
    "risk_corridors": "Risk corridors",
    "medical_loss_ratio": "Loss ratio rebate",
    "radv_adjustment": "Data validation",
}
_ZERO, _CENT, _MICRO = Decimal(0), Decimal("0.01"), 1_000_000
_POOLED = "plan rows: premium"
# What they pay rests on single people's claims, and how many people are paid: the column of issuers that says.
_OF_PEOPLE = {"high_cost_risk_pool": "enrollees_above", "reinsurance": "enrollees_paid"}


@dataclass(frozen=True)
class Failsafes(Steps):
    """The programs that were run for one benefit year.

    Attributes
    ----------
    benefit_year : int
        The year.
    settlement : Settlement, optional
        Transfers of the plan rows, and the high-cost risk pool where claims were placed.
    reinsurance : Reinsurance, optional
        With `terms`, what it was run with, and `effect` on a premium where that was asked for.
    risk_corridors : RiskCorridors, optional
        With the rows that went in, under ``corridors`` in `inputs`.
    medical_loss_ratio : LossRatios, optional
        With its rows under ``loss_ratio_years``.
    radv_adjustment : RadvAdjustment, optional
        With the `confidence` of its error rates where that was asked for.
    inputs : mapping of DataFrame
        The tables that were read, by name.
    """

    benefit_year: int
    settlement: Settlement | None = None
    reinsurance: Reinsurance | None = None
    terms: Program | None = None
    effect: PremiumEffect | None = None
    risk_corridors: RiskCorridors | None = None
    medical_loss_ratio: LossRatios | None = None
    radv_adjustment: RadvAdjustment | None = None
    confidence: RadvConfidence | None = None
    inputs: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def steps(self) -> Iterator[tuple[str, Any]]:
        """Yield the programs that were run, in order."""
        if self.settlement is not None:
            yield from self.settlement.steps()
        for name in list(PROGRAMS)[2:]:
            if (step := getattr(self, name)) is not None:
                yield name, step

    def program(self, name: str) -> Any:
        """Return the result of one program; None: it was not run."""
        return dict(self.steps()).get(name)

    @cached_property
    def claims(self) -> dict[str, Decimal]:
        """Return the plan-paid claims of each issuer, all its markets, to the cent."""
        return _claims_by_issuer(self.inputs.get("claims"))

    @cached_property
    def kept_back(self) -> dict[tuple[str | None, str, str], IssuerLine]:
        """Return the issuers of risk pools that a page keeps back, by state, risk pool and issuer."""
        return _kept_back(self.settlement)

    @property
    def counts(self) -> pl.DataFrame:
        """Return table, input, accepted, rejected; two programs may read the same table, each in its own way."""
        parts = []
        for name, step in self.steps():
            named = pl.format("{}: {}", pl.lit(name.replace("_", " ")), "table").alias("table")
            parts.append(step.counts.with_columns(named))
        joined: pl.DataFrame = pl.concat(parts)
        return joined

    def settings_of(self, name: str) -> pl.DataFrame:
        """Return the settings of one program: setting, applies_to, value, source, table_row, verification."""
        return _OneStep(name, self.program(name)).settings

    @property
    def settings(self) -> pl.DataFrame:
        """Return program and its settings; a setting may have another value in another program."""
        return pl.concat(
            self.settings_of(name).select(pl.lit(name).alias("program"), pl.all()) for name, _ in self.steps()
        )

    def settings_by_name(self) -> dict[str, str]:
        """Return the settings as a manifest has them: value by program, name and what it applies to."""
        rows = self.settings.select("program", "setting", "applies_to", "value").rows()
        return {
            f"{program}: {name}" + ("" if where in (None, "all") else f" ({where})"): value
            for program, name, where, value in rows
        }


class _OneStep(Steps):
    """One step alone, so that its settings come out in the shape of all settings."""

    def __init__(self, name: str, step: Any) -> None:
        self._name, self._step = name, step

    def steps(self) -> Iterator[tuple[str, Any]]:
        if self._step is not None:
            yield self._name, self._step


# ------------------------------------------------------------------------------------------------ one issuer's year


@dataclass(frozen=True)
class YearLine:
    """What one program does to the year: dollars, positive is received; where the amount stands."""

    program: str
    label: str
    amount: Decimal
    source: str


@dataclass(frozen=True)
class IssuerYear:
    """One issuer's year, before and after each program.

    Attributes
    ----------
    issuer_id : str
        The issuer.
    premium, claims : Decimal or None
        Dollars; None where the folder does not say.
    source : str
        Where premium and claims stand.
    lines : sequence of YearLine
        The programs that concern it, in order.
    hidden : str
        Why some of it is left out or added together on a page that is shared; empty where nothing is.
    is_too_small : bool
        Whether the issuer itself may have fewer than 11 people: then nothing of it is shown.
    """

    issuer_id: str
    premium: Decimal | None
    claims: Decimal | None
    source: str
    lines: Sequence[YearLine]
    hidden: str = ""
    is_too_small: bool = False

    @property
    def before(self) -> Decimal:
        """Return premium less claims, zero where they are not known."""
        return _ZERO if self.premium is None or self.claims is None else self.premium - self.claims

    @property
    def after(self) -> Decimal:
        """Return what is left after all programs."""
        return self.before + sum((line.amount for line in self.lines), _ZERO)

    def levels(self) -> list[tuple[YearLine, Decimal, Decimal]]:
        """Return each program with what stood before and after it."""
        found, level = [], self.before
        for line in self.lines:
            found.append((line, level, level + line.amount))
            level += line.amount
        return found

    def loss_ratios(self) -> list[float | None]:
        """Return (claims - received so far) / premium: before the programs, and after each of them."""
        if not self.premium or self.claims is None:
            return [None] * (len(self.lines) + 1)
        rest = self.premium
        return [float((rest - level) / rest) for level in (self.before, *(after for *_, after in self.levels()))]


def issuers_of(run: Failsafes) -> list[str]:
    """Return the issuers that a program concerns, those of the largest premium first; ties by id."""
    found: dict[str, Decimal] = {}
    for _, step in run.steps():
        frame = getattr(step, "issuers", None)
        if isinstance(frame, pl.DataFrame) and "issuer_id" in frame.columns:
            found |= {issuer: _ZERO for issuer in frame["issuer_id"].to_list() if issuer not in found}
    for issuer in found:
        premium, _, _ = _base(run, issuer)
        found[issuer] = premium or _ZERO
    return sorted(found, key=lambda issuer: (-found[issuer], issuer))


def issuer_year(run: Failsafes, issuer: str) -> IssuerYear:
    """Return the year of one issuer, all its states and markets together, to the cent."""
    premium, claims, source = _base(run, issuer)
    lines = []
    for name, label in PROGRAMS.items():
        found = _amount(run, name, issuer)
        if found is not None:
            lines.append(YearLine(name, label, *found))
    words = _hidden_words(hidden_programs(run, issuer))
    return IssuerYear(issuer, premium, claims, source, lines, words, _is_too_small(run, issuer))


def shown_year(run: Failsafes, issuer: str) -> IssuerYear:
    """Return the year as a page that is shared has it.

    What tells of fewer than 11 people is left out (risk pools) or added to the claims (payments for large claims).
    """
    year = issuer_year(run, issuer)
    small = [line for key, line in run.kept_back.items() if key[2] == issuer]
    premium, claims, lines, said = year.premium, year.claims, list(year.lines), [year.hidden] if year.hidden else []
    if small:
        less = {"transfers": sum((line.transfer for line in small), _ZERO)}
        if run.radv_adjustment is not None:
            own = [_of_issuer(f, issuer) for f in (run.radv_adjustment.transfers, shown_adjustments(run))]
            less["radv_adjustment"] = (_sum(own[0], "adjustment") or _ZERO) - (_sum(own[1], "adjustment") or _ZERO)
        lines = [replace(x, amount=x.amount - less.get(x.program, _ZERO)) for x in lines]
        if premium is not None and year.source.startswith(_POOLED):
            premium -= sum((Decimal(str(line.premium or 0)) for line in small), _ZERO)
        said.append(f"risk pools in which it may have fewer than {SMALLEST_SHOWN} people are left out")
    if hidden := hidden_programs(run, issuer):
        folded = [line for line in lines if line.program in hidden]
        lines = [line for line in lines if line.program not in hidden]
        claims = None if claims is None else claims - sum((line.amount for line in folded), _ZERO)
    return replace(year, premium=premium, claims=claims, lines=lines, hidden="; ".join(said))


def _of_issuer(frame: pl.DataFrame, issuer: str) -> pl.DataFrame:
    return frame.filter(pl.col("issuer_id").cast(pl.String).str.strip_chars() == issuer)


def _sum(frame: pl.DataFrame, column: str) -> Decimal | None:
    """Return the sum of a column of dollars in cents, exactly as they are written; None without a row."""
    values = frame[column].drop_nulls().to_list() if column in frame.columns else []
    return sum((Decimal(str(v)) for v in values), _ZERO) if values else None


def _statement(run: Failsafes, issuer: str) -> tuple[str, pl.DataFrame] | None:
    """Return the statement that has the issuer's year: its name and rows.

    Of two that with more premium: one may have markets that the other has not. That of the corridors comes first.
    """
    found = list(_statements(run, issuer))
    return max(found, key=lambda named: _sum(named[1], "premium") or _ZERO) if found else None


def _statements(run: Failsafes, issuer: str) -> Iterator[tuple[str, pl.DataFrame]]:
    for program, name in _STATEMENTS.items():
        rows = run.inputs.get(name)
        if rows is None or run.program(program) is None:
            continue
        own = _of_issuer(rows, issuer)
        if "year" in rows.columns:
            own = own.filter(pl.col("year").cast(pl.Int64) == run.benefit_year)
        if own.height:
            yield name, own.rename({s: c for s, c in _SHORT.items() if s in own.columns and c not in own.columns})


def _base(run: Failsafes, issuer: str) -> tuple[Decimal | None, Decimal | None, str]:
    """Return premium, claims and where they stand: the first table that has them for the issuer."""
    if (stated := _statement(run, issuer)) is not None:
        name, own = stated
        return _sum(own, "premium"), _sum(own, "incurred_claims"), f"{name}: premium, incurred claims"
    premium = None
    if run.settlement is not None:
        premium = _sum(_of_issuer(run.settlement.transfers.issuers, issuer), "premium")
    claims = run.claims.get(issuer)
    places = [*([_POOLED] if premium is not None else []), *(["claims: plan_paid"] if claims is not None else [])]
    return premium, claims, "; ".join(places)


def _claims_by_issuer(claims: pl.DataFrame | None) -> dict[str, Decimal]:
    """Return the claims of each issuer to the cent; added in millionths of a dollar, dollars apart from their parts."""
    if claims is None or not {"issuer_id", "plan_paid"} <= set(claims.columns):
        return {}
    micro = (pl.col("plan_paid").cast(pl.Float64) * _MICRO).round().cast(pl.Int64)
    rows = claims.select(pl.col("issuer_id").cast(pl.String).str.strip_chars(), micro.alias("micro")).drop_nulls()
    sums = rows.group_by("issuer_id").agg(
        (pl.col("micro") // _MICRO).sum(), (pl.col("micro") % _MICRO).sum().alias("rest")
    )
    return {
        issuer: (Decimal(whole * _MICRO + rest) / _MICRO).quantize(_CENT, ROUND_HALF_UP)
        for issuer, whole, rest in sums.rows()
    }


def _amount(run: Failsafes, name: str, issuer: str) -> tuple[Decimal, str] | None:
    """Return what a program pays the issuer and where that stands; None: it does not concern it."""
    step = run.program(name)
    if step is not None:
        frame = step.transfers if name == "radv_adjustment" else step.issuers
        column = next((c for c in _COLUMNS[name] if c in frame.columns), "")
        amount = _sum(_of_issuer(frame, issuer), column)
        if amount is not None:
            return (-amount if name in _PAID else amount), f"{PROGRAMS[name].lower()} of this run"
    stated = _statement(run, issuer)
    if stated is None or name not in _STATED:
        return None
    amount = _sum(stated[1], _STATED[name])
    return None if amount is None else (amount, f"{stated[0]}: {_STATED[name]}, as stated")


# The amount of an issuer in the result of a program, the last word first.
_COLUMNS = {
    "transfers": ("transfer_and_share", "transfer"),
    "high_cost_risk_pool": ("net",),
    "reinsurance": ("net", "payment"),
    "risk_corridors": ("corridor_paid",),
    "medical_loss_ratio": ("rebate",),
    "radv_adjustment": ("adjustment",),
}
_PAID = ("medical_loss_ratio",)  # whose amounts are what the issuer pays
# Statements of issuers, by the program that reads them, and what they say of programs that were not run here.
_STATEMENTS = {"risk_corridors": "corridors", "medical_loss_ratio": "loss_ratio_years"}
_STATED = {
    "transfers": "net_risk_adjustment_received",
    "reinsurance": "reinsurance_received",
    "risk_corridors": "net_corridor_received",
}
_SHORT = {
    "claims": "incurred_claims",
    "ra_received": _STATED["transfers"],
    "corridor_received": "net_corridor_received",
}


# ------------------------------------------------------------------------------------------------ small groups


def hidden_programs(run: Failsafes, issuer: str) -> list[str]:
    """Return the programs whose payment to the issuer rests on fewer than 11 people, by itself or by subtraction."""
    steps = {name: run.program(name) for name in _OF_PEOPLE}
    return [
        name
        for name, step in steps.items()
        if step is not None and hidden_payment(step.issuers, _OF_PEOPLE[name], issuer)
    ]


def _hidden_words(programs: Sequence[str]) -> str:
    names = " and ".join(PROGRAMS[name].lower() for name in programs)
    few = f"fewer than {SMALLEST_SHOWN} people, alone or by subtraction: taken off the claims"
    return f"{names} {'rests' if len(programs) == 1 else 'rest'} on {few}" if programs else ""


def hidden_payment(issuers: pl.DataFrame, column: str, issuer: str) -> bool:
    """Return whether a payment must not be shown: so few people have it, here or in all of a national pool."""
    national = "high_cost_risk_pool"
    parts = issuers.partition_by(national) if national in issuers.columns else [issuers]
    for part in parts:
        people, names = part[column].to_list(), part["issuer_id"].to_list()
        hidden = [True] * len(names) if 0 < sum(people) < SMALLEST_SHOWN else hidden_cells(people)
        if any(is_hidden for name, is_hidden in zip(names, hidden, strict=True) if name == issuer):
            return True
    return False


def _kept_back(settlement: Settlement | None) -> dict[tuple[str | None, str, str], IssuerLine]:
    found: dict[tuple[str | None, str, str], IssuerLine] = {}
    for pool in [] if settlement is None else pool_figures(settlement.transfers):
        hidden = [True] * len(pool.issuers) if is_too_small(pool) else hidden_issuers(pool.issuers)
        lines = [line for line, is_hidden in zip(pool.issuers, hidden, strict=True) if is_hidden]
        found |= {(pool.state, pool.risk_pool, line.issuer_id): line for line in lines}
    return found


def shown_adjustments(run: Failsafes) -> pl.DataFrame:
    """Return the adjustments of data validation by issuer and risk pool, without those that a page keeps back."""
    assert run.radv_adjustment is not None
    moved = run.radv_adjustment.transfers
    hidden = set(run.kept_back)
    keys = [(row.get("state"), row["risk_pool"], row["issuer_id"]) for row in moved.rows(named=True)]
    return moved.filter(pl.Series([key not in hidden for key in keys], dtype=pl.Boolean))


def _is_too_small(run: Failsafes, issuer: str) -> bool:
    """Return whether the issuer may have fewer than 11 people: by claims, life-years, or in all of its risk pools."""
    if run.medical_loss_ratio is not None:
        lives = _of_issuer(run.medical_loss_ratio.issuers, issuer)["life_years"].to_list()
        if lives and 0 < sum(lives) < SMALLEST_SHOWN:
            return True
    if run.reinsurance is not None:
        people = _of_issuer(run.reinsurance.issuers, issuer)["enrollees"].to_list()
        if people and 0 < sum(people) < SMALLEST_SHOWN:
            return True
    if run.settlement is None:
        return False
    rows = _of_issuer(run.settlement.transfers.issuers, issuer).height
    return 0 < rows == sum(name == issuer for *_, name in run.kept_back)
