"""Reinsurance of large claims: the transitional program of 2014-2016, and the programs of states, to the cent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import SettingRefused
from riskadjust._cents import as_money, balanced, cents_of
from riskadjust._findings import Findings
from riskadjust._reinsurance_claims import Reinsured, read_claims, read_life_years
from riskadjust._reinsurance_effect import PremiumEffect, premium_effect
from riskadjust._reinsurance_layers import MICRO, Payments, payments_of
from riskadjust._reinsurance_program import TRANSITIONAL, Program, read_program
from riskadjust._settled import Settled
from riskadjust._stabilizer_figures import whole_year

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Reinsurance", "reinsurance"]

Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Reinsurance(Settled):
    """What a reinsurance program pays for one benefit year.

    Attributes
    ----------
    enrollees, issuers, totals : DataFrame
        See :func:`reinsurance`.
    findings, rejected, counts, settings, uncertain, tables
        What was noticed, left out, counted and used: see :class:`riskadjust.Settled`.
    benefit_year : int
        The year.
    """

    enrollees: pl.DataFrame
    issuers: pl.DataFrame
    totals: pl.DataFrame
    benefit_year: int

    def __repr__(self) -> str:
        return (
            f"Reinsurance(benefit_year={self.benefit_year}, issuers={self.issuers.height}, "
            f"enrollees={self.enrollees.height}, payment={self.totals['payment'][0]}, "
            f"findings={self.findings.height}, uncertain={self.uncertain.height})"
        )

    def premium_effect(
        self,
        *,
        member_months: Any,
        seed: int,
        issuer_id: str | None = None,
        premium_pmpm: Any = None,
        paid_to_allowed: Any = None,
        fees_share_of_premium: Any = 0,
        enrollees: int | None = None,
        draws: int = 1000,
        level: float = 0.9,
    ) -> PremiumEffect:
        """Return what the program takes off claims and premium per member month, with a bootstrap interval.

        ``recovery_pmpm = payment / months``; ``recovery_allowed_pmpm = recovery_pmpm / paid-to-allowed`` (the basis of
        a market adjusted index rate); ``premium_change_pmpm = (contribution_pmpm - recovery_pmpm) / (1 - f)``, f share
        of premium that moves with it (fees and taxes in percent); ``premium_change`` the same over the premium.

        Parameters
        ----------
        member_months : number
            Of all people whose claims were handed in, also of those without claims; the same in every draw. With
            `issuer_id` those of that issuer, and so the premium, the ratio and the people below.
        seed : int
            0 or more; the same seed gives the same numbers for any order of rows and any number of threads.
        issuer_id : str, optional
            The effect on this issuer's premium: of its claims, payment and contribution. A budget is shared with the
            other issuers, whose requests stay as they are in every draw. Without it: of all issuers together.
        premium_pmpm : number, optional
            Premium without the program, per member month.
        paid_to_allowed : number, optional
            Above 0, at most 1 (the paid-to-allowed ratio of the market).
        fees_share_of_premium : number
            f, 0 to below 1. The default takes claims off the premium dollar for dollar.
        enrollees : int, optional
            People in all; those beyond the claims at hand have none. Without it: those with claims.
        draws : int
            How many, from 2.
        level : float
            Share of draws that the interval holds.

        Returns
        -------
        PremiumEffect
            ``.effects``: measure (payment, recovery_pmpm, share_of_claims, proration, and where they can be made
            recovery_allowed_pmpm, contribution_pmpm, premium_change_pmpm, premium_change), value, lower, upper,
            standard_error. ``.draws``: draw, payment, claims, proration.

        Notes
        -----
        A draw takes as many people as there are, with replacement, each with their claims and payment before proration;
        the budget is spent on the draw again. It holds chance in who falls ill, not trend or a wrong forecast.

        Examples
        --------
        >>> import polars as pl, riskadjust
        >>> claims = pl.DataFrame({"issuer_id": ["11111"] * 4, "enrollee_id": list("abcd"),
        ...     "plan_paid": [1_000, 2_000, 3_000, 100_000]})
        >>> found = riskadjust.reinsurance(claims, benefit_year=2022, program="state", state="MD")
        >>> effect = found.premium_effect(member_months=50, seed=1, premium_pmpm=4_000, paid_to_allowed="0.8")
        >>> dict(effect.effects.select("measure", "value").rows())["recovery_allowed_pmpm"]  # 64,000 / 50 / 0.8
        1600.0
        """
        return premium_effect(
            self.enrollees,
            self.totals,
            self.issuers,
            member_months=member_months,
            seed=seed,
            issuer_id=issuer_id,
            premium_pmpm=premium_pmpm,
            paid_to_allowed=paid_to_allowed,
            fees_share_of_premium=fees_share_of_premium,
            enrollees=enrollees,
            draws=draws,
            level=level,
        )


def reinsurance(
    claims: pl.DataFrame | pl.LazyFrame,
    *,
    benefit_year: int,
    program: str = "transitional",
    state: str | None = None,
    layers: Any = None,
    coinsurance: Any = None,
    condition_list: Any = None,
    enrollee_conditions: pl.DataFrame | pl.LazyFrame | None = None,
    budget: Any = None,
    covered_life_years: Any = None,
    settings: Mapping[str, Any] | None = None,
) -> Reinsurance:
    """Return what reinsurance pays for the large claims of a benefit year, by enrollee and issuer, to the cent.

    ``pay = sum over layers of share x max(0, min(C, to) - from)``, C plan-paid claims of an enrollee, year and issuer
    over the plans of the individual market. When the payments are more than the money, all are scaled alike:
    ``proration = min(1, budget / sum of unrounded payments)``; each payment is rounded after scaling, halves away from
    zero, and the total is rounded from the unrounded sum: it spends the budget to the cent.

    Parameters
    ----------
    claims : DataFrame
        issuer_id, enrollee_id (text), plan_paid (dollars; several rows of an enrollee are added, reversals are
        negative). Optional: state (an issuer is one within its state; claims of other states than the program's are set
        aside), market (individual, small_group: set aside), rating_area_id (needed for terms by area), is_ceded (only
        those that are true are reinsured, beside those with a listed condition).
    benefit_year : int
        2014 to 2016 for the transitional program.
    program : {"transitional", "state"}
        The federal program, or that of a state under a section 1332 waiver.
    state : str, optional
        The state of a state program.
    layers : list or mapping, optional
        In place of the published terms: [(from, to, share)], rising, to None without end; or rating area -> such.
    coinsurance : number or mapping, optional
        In place of the published share of the published layer; or rating area -> share.
    condition_list, enrollee_conditions : list; DataFrame, optional
        Only enrollees with a condition of the list are reinsured: enrollee_id, condition [, issuer_id, state] in any
        coding that both share.
    budget : number, optional
        The money for all claims that are handed in, in dollars. Without it that of the table (Wisconsin 2019); else
        payments are not scaled.
    covered_life_years : mapping or DataFrame, optional
        issuer_id -> covered life-years, on which the transitional contribution is due.
    settings : mapping, optional
        ``coinsurance_basis``: ``final`` (default) or ``announced`` (transitional). ``high_cost_order``: ``none``
        (default), ``net_first`` (what the high-cost risk pool pays is taken off C; ``hcrp_threshold`` and
        ``hcrp_coinsurance`` win over the table) or ``dampening`` (every payment times ``dampening_factor``, before
        proration). ``cents_balance``: ``off`` (default: what the rounded payments miss stands in the totals) or
        ``largest_remainder`` (the missing cents go, one each, to those whose rounding moved them furthest the other
        way: issuers add to the total, enrollees to their issuer).

    Returns
    -------
    Reinsurance
        ``.enrollees``, sorted by key: [state,] issuer_id, enrollee_id [, rating_area_id, is_eligible], plan_paid
        (Decimal), payment_before_proration, payment_unrounded (dollars), payment (Decimal). ``.issuers``: enrollees,
        enrollees_paid, plan_paid, payment (rounded from the unrounded sum), payment_unrounded; with life-years
        covered_life_years, contribution (zero or below), net. ``.totals``: one row: program, state, issuers, enrollees,
        enrollees_paid, plan_paid, payment_before_proration, budget, proration, payment, residual_of_enrollees and
        residual_of_issuers (sum of the rounded payments less the total).

    Raises
    ------
    InputRefused
        Rules REI-001 to REI-013: rows are named by number, never by a value. A year without a program (REI-008).
    SettingRefused
        Unknown setting or value; terms by area that are needed and not given.
    TableMissing
        A program whose terms are not held in full.

    Notes
    -----
    Sources: 42 USC 18061; 45 CFR 153.220 to 153.240, 153.400; 42 USC 18052 and the approvals of state waivers; Wis.
    Adm. Code Ins 19.21 (scaling to the money). Most state figures are marked uncertain: the result says which moved it.

    Examples
    --------
    Maryland 2022, 80 percent of 20,000 to 250,000; 184,000 and 8,000 are asked for, 96,000 is there: half of each.

    >>> import polars as pl, riskadjust
    >>> claims = pl.DataFrame({"issuer_id": ["11111", "22222"], "enrollee_id": ["E1", "E2"],
    ...     "plan_paid": [400_000, 30_000]})
    >>> found = riskadjust.reinsurance(claims, benefit_year=2022, program="state", state="MD", budget=96_000)
    >>> [str(payment) for payment in found.issuers["payment"]], found.totals["proration"][0]
    (['92000.00', '4000.00'], 0.5)
    """
    year, findings = whole_year(benefit_year), Findings()
    terms = read_program(
        program,
        year,
        state=state,
        layers=layers,
        coinsurance=coinsurance,
        budget=budget,
        settings=settings,
        findings=findings,
    )
    if covered_life_years is not None and terms.name != TRANSITIONAL:
        raise SettingRefused(
            "a program of a state has no contribution per life-year", remedy="leave covered_life_years out"
        )
    people = read_claims(claims, terms, findings, condition_list, enrollee_conditions)
    work = _Work.of(people, terms)
    years = None
    if covered_life_years is not None:
        years = read_life_years(covered_life_years, people.keys, work.issuer_keys)
    return _result(work, years, year, findings)


@dataclass(frozen=True)
class _Work:
    """The payments of one run: unrounded ones of the paid enrollees, and the cents of all."""

    people: Reinsured
    program: Program
    payments: Payments
    requested: Fraction
    proration: Fraction
    first: Integers  # position of the first enrollee of each issuer, and the number of enrollees
    issuer_keys: list[tuple[str, ...]]
    issuer_paid: list[Fraction]
    issuer_cents: list[int]
    cents: list[int]  # of the paid enrollees

    @classmethod
    def of(cls, people: Reinsured, program: Program) -> _Work:
        import polars as pl

        terms = list(program.layers.values())
        payments = payments_of(people.micro, people.of_terms, terms, high_cost=program.high_cost, factor=program.factor)
        requested = payments.total()
        is_short = program.budget is not None and requested > program.budget
        proration = Fraction(program.budget or 0) / requested if is_short else Fraction(1)
        issuer = people.frame.select(pl.struct(people.keys).rle_id()).to_series().to_numpy()  # sorted by key
        first = np.searchsorted(issuer, np.arange(int(issuer[-1]) + 2)).astype(np.int64)
        paid_from = np.searchsorted(payments.position, first).tolist()
        paid = [Fraction(sum(payments.units[a:b]), payments.per_dollar) * proration for a, b in pairwise(paid_from)]
        keys = people.frame.select(people.keys)[first[:-1]].rows()
        cents = payments.cents(proration)
        issuer_cents = [cents_of(p) for p in paid]
        if program.settings.cents_balance == "largest_remainder":
            issuer_cents = _add_up(
                issuer_cents, [float(p) for p in paid], lambda: paid, cents_of(requested * proration)
            )
            cents = _enrollees_added_up(payments, proration, cents, paid_from, issuer_cents)
        return cls(people, program, payments, requested, proration, first, keys, paid, issuer_cents, cents)


def _enrollees_added_up(
    payments: Payments, proration: Fraction, cents: list[int], paid_from: list[int], issuer_cents: list[int]
) -> list[int]:
    """Return the cents of enrollees so that those of an issuer add to its own; who is paid nothing is left out."""
    dollars, mended = payments.dollars(proration), []
    for (a, b), total in zip(pairwise(paid_from), issuer_cents, strict=True):
        if a < b:
            exactly = partial(_exact_payments, payments, proration, a, b)
            mended += _add_up(cents[a:b], dollars[a:b], exactly, total)
    return mended


def _exact_payments(payments: Payments, proration: Fraction, start: int, stop: int) -> list[Fraction]:
    return [payments.exactly(i, proration) for i in range(start, stop)]


def _add_up(cents: list[int], dollars: list[float], exactly: Callable[[], list[Fraction]], total: int) -> list[int]:
    return balanced(cents, dollars, 1e-15 * max(dollars), exactly, total)


# ------------------------------------------------------------------------------------------------ frames


def _result(work: _Work, years: dict[tuple[str, ...], Fraction] | None, year: int, findings: Findings) -> Reinsurance:
    enrollees = _enrollee_frame(work)
    issuers = _issuer_frame(work, years)
    netted = 0
    if work.program.high_cost is not None:
        above = work.people.micro > int(work.program.high_cost.threshold * MICRO)
        netted = int((above & (work.people.of_terms >= 0)).sum())
    contributing = 0 if years is None else sum(bool(v) for v in years.values())
    work.program.put_down_moves(len(work.cents), netted, is_scaled=work.proration < 1, contributing=contributing)
    return Reinsurance(
        enrollees=enrollees,
        issuers=issuers,
        totals=_totals(work),
        findings=findings.frame(),
        rejected=findings.refused(),
        counts=findings.counts(),
        settings=work.program.settings_frame(),
        uncertain=work.program.uncertain(),
        tables=work.program.tables(),
        benefit_year=year,
    )


def _claim_cents(work: _Work) -> Integers:
    return (work.people.micro + MICRO // 200) // (MICRO // 100)


def _sum(micro: Integers) -> int:
    """Return an exact sum; the high and the low half are added apart, because 64 bits may not hold the whole."""
    return (int((micro >> 32).sum()) << 32) + int((micro & 0xFFFFFFFF).sum())


def _enrollee_frame(work: _Work) -> pl.DataFrame:
    import polars as pl

    at, height = work.payments.position, work.people.frame.height
    before, after = np.zeros(height), np.zeros(height)
    before[at], after[at] = work.payments.dollars(), work.payments.dollars(work.proration)
    cents = np.zeros(height, np.int64)
    cents[at] = work.cents
    frame = work.people.frame.with_columns(
        pl.Series("plan_paid", _claim_cents(work)),
        pl.Series("payment_before_proration", before),
        pl.Series("payment_unrounded", after),
        pl.Series("payment", cents),
    )
    return as_money(frame, "plan_paid", "payment")


def _issuer_frame(work: _Work, years: dict[tuple[str, ...], Fraction] | None) -> pl.DataFrame:
    import polars as pl

    count = len(work.issuer_keys)
    micro = [_sum(work.people.micro[a:b]) for a, b in pairwise(work.first.tolist())]
    people = np.diff(work.first).tolist()
    paid_people = np.diff(np.searchsorted(work.payments.position, work.first)).tolist()
    own = dict(zip(work.issuer_keys, range(count), strict=True))
    keys = sorted({*own, *(years or {})})  # an issuer without claims owes its contribution all the same
    at = [own.get(key) for key in keys]

    def column(values: list[Any], none: Any = 0) -> list[Any]:
        return [none if i is None else values[i] for i in at]

    paid = column(work.issuer_paid, Fraction(0))
    cents = {
        "plan_paid": [cents_of(Fraction(m, MICRO)) for m in column(micro)],
        "payment": column(work.issuer_cents),
    }
    frame = pl.DataFrame(keys, schema=dict.fromkeys(work.people.keys, pl.String), orient="row").with_columns(
        pl.Series("enrollees", column(people), dtype=pl.Int64),
        pl.Series("enrollees_paid", column(paid_people), dtype=pl.Int64),
        *[pl.Series(name, values, dtype=pl.Int64) for name, values in cents.items()],
        pl.Series("payment_unrounded", [float(p) for p in paid], dtype=pl.Float64),
    )
    if years is None:
        return as_money(frame, *cents)
    rate = work.program.contribution or Fraction(0)
    owed = [-rate * years[key] for key in keys]
    frame = frame.with_columns(
        pl.Series("covered_life_years", [float(years[key]) for key in keys]),
        pl.Series("contribution", [cents_of(o) for o in owed], dtype=pl.Int64),
        pl.Series("net", [cents_of(p + o) for p, o in zip(paid, owed, strict=True)], dtype=pl.Int64),
    )
    return as_money(frame, *cents, "contribution", "net")


def _totals(work: _Work) -> pl.DataFrame:
    import polars as pl

    total = cents_of(work.requested * work.proration)
    budget = work.program.budget
    cents = {
        "plan_paid": cents_of(Fraction(_sum(work.people.micro), MICRO)),
        "payment_before_proration": cents_of(work.requested),
        "budget": None if budget is None else cents_of(budget),
        "payment": total,
        "residual_of_enrollees": sum(work.cents) - total,
        "residual_of_issuers": sum(work.issuer_cents) - total,
    }
    line = {
        "program": work.program.name,
        "state": work.program.state,
        "issuers": len(work.issuer_keys),
        "enrollees": work.people.frame.height,
        "enrollees_paid": len(work.cents),
        "proration": float(work.proration),
    }
    schema: dict[str, Any] = {"program": pl.String, "state": pl.String} | dict.fromkeys(list(line)[2:5], pl.Int64)
    schema |= {"proration": pl.Float64} | dict.fromkeys(cents, pl.Int64)
    frame = as_money(pl.DataFrame([line | cents], schema=schema), *cents)
    order = ["program", "state", "issuers", "enrollees", "enrollees_paid", "plan_paid", "payment_before_proration"]
    return frame.select(*order, "budget", "proration", "payment", "residual_of_enrollees", "residual_of_issuers")
