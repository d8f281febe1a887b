"""What reinsurance takes off a premium, and how far chance alone may move it: people drawn again with replacement."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs._threads import map_chunks
from data_specs.errors import SettingRefused
from riskadjust._bootstrap import MOST_DRAWS
from riskadjust._draws import DRAWS_AT_ONCE, Strata
from riskadjust._transfer_settings import exact_number

if TYPE_CHECKING:
    import polars as pl

__all__ = ["PremiumEffect", "premium_effect"]

_MOST_PEOPLE = 100_000_000  # every draw holds them all in memory
_SHOWN = 5

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class PremiumEffect:
    """What a reinsurance program takes off claims and premium; see :meth:`riskadjust.Reinsurance.premium_effect`.

    Attributes
    ----------
    effects : DataFrame
        measure, value, lower, upper, standard_error.
    draws : DataFrame
        draw (from 1), payment, claims (dollars), proration: every draw.
    settings : dict
        What was asked for: seed, draws, level, enrollees and the terms of the premium.
    """

    effects: pl.DataFrame
    draws: pl.DataFrame
    settings: dict[str, Any]

    def __repr__(self) -> str:
        return f"PremiumEffect(measures={self.effects.height}, draws={self.draws.height}, seed={self.settings['seed']})"


@dataclass(frozen=True)
class _Terms:
    """Of the premium, exactly."""

    months: Fraction
    premium: Fraction | None
    paid_to_allowed: Fraction | None
    kept: Fraction  # 1 - fees in percent of premium
    contribution: Fraction | None

    def measures(self, payment: Floats, claims: Floats, proration: Floats) -> dict[str, Floats]:
        """Return every measure that can be made, draw by draw."""
        monthly = payment / float(self.months)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = {"payment": payment, "recovery_pmpm": monthly, "share_of_claims": payment / claims}
        found["proration"] = proration
        if self.paid_to_allowed is not None:
            found["recovery_allowed_pmpm"] = monthly / float(self.paid_to_allowed)
        owed = Fraction(0) if self.contribution is None else self.contribution / self.months
        if self.contribution is not None:
            found["contribution_pmpm"] = np.full_like(payment, float(owed))
        found["premium_change_pmpm"] = (float(owed) - monthly) / float(self.kept)
        if self.premium is not None:
            found["premium_change"] = found["premium_change_pmpm"] / float(self.premium)
        return found


def premium_effect(
    people: pl.DataFrame,
    totals: pl.DataFrame,
    issuers: pl.DataFrame,
    *,
    member_months: Any,
    seed: int,
    issuer_id: str | None,
    premium_pmpm: Any,
    paid_to_allowed: Any,
    fees_share_of_premium: Any,
    enrollees: int | None,
    draws: int,
    level: float,
) -> PremiumEffect:
    """Return the effect of a run of reinsurance on a premium; see :meth:`riskadjust.Reinsurance.premium_effect`."""
    import polars as pl

    _check_draws(seed, draws, level)
    row = totals.row(0, named=True)
    asked = int(_asked_cents(people).sum())
    if issuer_id is not None:
        people, issuers = _of_issuer(people, issuers, issuer_id)
        row |= issuers.row(0, named=True)
    count = _people(enrollees, people.height)
    terms = _Terms(
        months=_above_zero("member_months", member_months),
        premium=None if premium_pmpm is None else _above_zero("premium_pmpm", premium_pmpm),
        paid_to_allowed=None if paid_to_allowed is None else _above_zero("paid_to_allowed", paid_to_allowed, most=1),
        kept=1 - _fees(fees_share_of_premium),
        contribution=_contribution(issuers),
    )
    claims = np.zeros(count, np.int64)
    claims[: people.height] = (people["plan_paid"] * 100).cast(pl.Int64).to_numpy()
    before = np.zeros(count, np.int64)
    before[: people.height] = _asked_cents(people)
    paid, spent = _draw(claims, before, int(seed), int(draws))
    others = (asked - int(before.sum())) / 100
    scale = _proration(paid + others, None if row["budget"] is None else float(row["budget"]))
    own = tuple(np.array([float(v)]) for v in (row["payment"], row["plan_paid"], row["proration"]))
    values = terms.measures(*own)
    drawn = terms.measures(paid * scale, spent, scale)
    ends = [(1 - level) / 2, (1 + level) / 2]
    lines = [
        (name, float(values[name][0]), *map(float, np.quantile(column, ends)), float(np.std(column, ddof=1)))
        for name, column in drawn.items()
    ]
    columns = ("value", "lower", "upper", "standard_error")
    return PremiumEffect(
        effects=pl.DataFrame(
            lines, schema={"measure": pl.String} | dict.fromkeys(columns, pl.Float64), orient="row"
        ).fill_nan(None),
        draws=pl.DataFrame(
            {"draw": range(1, len(paid) + 1), "payment": paid * scale, "claims": spent, "proration": scale},
            schema_overrides={"draw": pl.Int64},
        ),
        settings={
            "seed": int(seed),
            "draws": int(draws),
            "level": float(level),
            "issuer_id": issuer_id,
            "enrollees": count,
            "member_months": str(member_months),
            "premium_pmpm": None if premium_pmpm is None else str(premium_pmpm),
            "paid_to_allowed": None if paid_to_allowed is None else str(paid_to_allowed),
            "fees_share_of_premium": str(fees_share_of_premium),
        },
    )


def _asked_cents(people: pl.DataFrame) -> Integers:
    cents: Integers = np.rint(people["payment_before_proration"].to_numpy() * 100).astype(np.int64)
    return cents


def _of_issuer(people: pl.DataFrame, issuers: pl.DataFrame, issuer_id: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the people and the row of one issuer."""
    found = issuers.filter(issuer_id=issuer_id.strip()) if isinstance(issuer_id, str) else issuers.clear()
    people = people.filter(issuer_id=found["issuer_id"][0]) if found.height == 1 else people.clear()
    if people.height:
        return people, found
    known = ", ".join(sorted(set(issuers["issuer_id"]))[:_SHOWN])
    raise SettingRefused(
        f"`issuer_id` cannot be {issuer_id!r}",
        rule="an issuer with claims, in one state",
        remedy=f"issuers of this run: {known}" + (" ..." if issuers["issuer_id"].n_unique() > _SHOWN else ""),
    )


def _draw(claims: Integers, before: Integers, seed: int, draws: int) -> tuple[Floats, Floats]:
    """Return payments before proration and claims of every draw, in dollars; sums are of whole cents, so exact."""
    strata = Strata.of_starts(np.array([0, len(claims)]))
    paid, spent = np.empty(draws), np.empty(draws)

    def run(start: int) -> None:
        for draw in range(start, min(start + DRAWS_AT_ONCE, draws)):
            times = strata.times(seed, draw)
            paid[draw], spent[draw] = int(times @ before) / 100, int(times @ claims) / 100

    map_chunks(run, range(0, draws, DRAWS_AT_ONCE))
    return paid, spent


def _proration(asked: Floats, budget: float | None) -> Floats:
    if budget is None:
        return np.ones_like(asked)
    with np.errstate(divide="ignore"):
        return np.minimum(1.0, budget / asked)


def _contribution(issuers: pl.DataFrame) -> Fraction | None:
    if "contribution" not in issuers.columns:
        return None
    return -Fraction(issuers["contribution"].sum())


# ------------------------------------------------------------------------------------------------ what was asked for


def _above_zero(name: str, value: Any, most: int | None = None) -> Fraction:
    number = exact_number(value, name)
    if number > 0 and (most is None or number <= most):
        return number
    rule = "a number above zero" + (f", at most {most}" if most else "")
    raise SettingRefused(f"`{name}` cannot be {value!r}", rule=rule)


def _fees(value: Any) -> Fraction:
    number = exact_number(value, "fees_share_of_premium")
    if 0 <= number < 1:
        return number
    raise SettingRefused(f"`fees_share_of_premium` cannot be {value!r}", rule="a share, 0 to below 1")


def _people(enrollees: Any, at_hand: int) -> int:
    if enrollees is None:
        return at_hand
    is_whole = hasattr(enrollees, "__index__") and not isinstance(enrollees, bool)
    if is_whole and at_hand <= int(enrollees) <= _MOST_PEOPLE:
        return int(enrollees)
    raise SettingRefused(
        f"`enrollees` cannot be {enrollees!r}",
        rule=f"a whole number, at least the {at_hand} with claims and at most {_MOST_PEOPLE}",
    )


def _check_draws(seed: Any, draws: Any, level: Any) -> None:
    for name, value, least, most in (("seed", seed, 0, 2**128 - 1), ("draws", draws, 2, MOST_DRAWS)):
        is_whole = hasattr(value, "__index__") and not isinstance(value, bool)
        if not is_whole or not least <= int(value) <= most:
            raise SettingRefused(f"`{name}` cannot be {value!r}", rule=f"a whole number from {least} to {most}")
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise SettingRefused(f"`level` cannot be {level!r}", rule="a share between 0 and 1", remedy="90 percent is 0.9")
