"""The claims of one issuer of a made-up market as a rate filing reads them: by month, category and lag of payment.

They are the market's own costs, spread over months and benefit categories: what a plan's enrollees cost in the year is
the sum of its months, to the cent. Two years before it, which the market does not have, follow from the same
assumptions, so that there is a trend to be found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from data_specs import _synthetic_claim_assumptions as assumed
from data_specs._synthetic_draws import Draws, Integers, Reals
from data_specs._synthetic_enrolled import Enrolled, cents_of
from data_specs._synthetic_frames import dollars
from data_specs._units import half_up_div
from data_specs.errors import InputRefused

__all__ = ["synthetic_experience"]

_YEAR = 12
_BEFORE = _YEAR * len(assumed.YEARS_BEFORE)
_MONTHS = _BEFORE + _YEAR
_CENTS = 100
_PER = 100_000
_THOUSAND = 1_000
_MEAN_DAYS = 365.25 / _YEAR
_NAMES = tuple(category.name for category in assumed.CATEGORIES)


def synthetic_experience(
    market: Mapping[str, pl.DataFrame],
    *,
    seed: int,
    issuer_id: str | None = None,
    transfers: pl.DataFrame | None = None,
) -> dict[str, pl.DataFrame]:
    """Return the experience of an issuer of a made-up market, as rate filings read it.

    Parameters
    ----------
    market : dict of DataFrame
        Of :func:`data_specs.synthetic_market`: the individual market.
    seed : int
        Of the spread over months, categories and lags. The same seed gives the same tables on every platform.
    issuer_id : str, optional
        By default the issuer with most spans.
    transfers : DataFrame, optional
        plan_id, transfer (dollars in the year, receipts positive); without it the experience has no risk adjustment.

    Returns
    -------
    dict of DataFrame
        ``experience`` : issuer_id, state, market, incurred_month, plan_id, benefit_category, is_ehb, member_months,
        allowed_paid_to_date, incurred_paid_to_date, completion_factor (1 for capitation, null for the categories of the
        triangle), pharmacy_rebates, premium, risk_adjustment (dollars); the twelve months of the benefit year, as paid
        three months after it. Member months are the people covered on the 15th; premium is earned by the day.
        ``claim_triangle`` : incurred_month, paid_month, benefit_category, paid_amount (dollars, of that month, allowed
        basis); three years, without holes. Its sums are the allowed_paid_to_date of the experience.
        ``claim_history`` : incurred_month, benefit_category, member_months, allowed_paid_to_date, completion_factor,
        services; three years.
        ``large_claims`` : enrollee_id, plan_id (null before the benefit year), incurred_month, benefit_category,
        allowed; people whose care of a year came to more than 250,000 dollars. It is part of the other tables.
        ``market_claims`` : benefit_category, allowed_pmpm: EHB claims of all issuers, ultimate.

    Raises
    ------
    InputRefused
        The issuer has nobody enrolled, or transfers are for other plans.

    Notes
    -----
    Completed and less rebates, the claims of a plan are those of the market's ``costs``. The spread needs no tables.

    Examples
    --------
    >>> from data_specs import synthetic_market
    >>> market = synthetic_market("NY", enrollees=300, seed=1)
    >>> found = synthetic_experience(market, seed=1)
    >>> sorted(found)
    ['claim_history', 'claim_triangle', 'experience', 'large_claims', 'market_claims']
    >>> found["experience"]["incurred_month"].n_unique()
    12
    """
    enrolled = Enrolled.of(market, issuer_id)
    draws = Draws(seed, f"{enrolled.state}/experience")
    pattern = _Pattern.of(draws, enrolled.calendar_months(_BEFORE))
    large = _large_claims(draws, enrolled)
    cells = _Cells.of(enrolled, pattern, large)
    earlier = _earlier_claims(enrolled, pattern, cells, large)
    ultimate = np.concatenate([earlier, cells.by_month()], axis=1)
    paid = _paid(draws, ultimate)
    return {
        "experience": _experience_frame(enrolled, cells, paid, _by_plan(enrolled, transfers)),
        "claim_triangle": _triangle_frame(enrolled, paid),
        "claim_history": _history_frame(enrolled, pattern, paid),
        "large_claims": _large_frame(enrolled, large),
        "market_claims": _market_frame(market, enrolled, cells),
    }


# ------------------------------------------------------------------------------------------------ over time


@dataclass(frozen=True, slots=True)
class _Pattern:
    """Use and price by category and month, relative; the months are three years."""

    use: Reals
    price: Reals

    @classmethod
    def of(cls, draws: Draws, months: Integers) -> _Pattern:
        days = _days(months) / _MEAN_DAYS
        use, price = np.empty((2, len(_NAMES), _MONTHS))
        for place, category in enumerate(assumed.CATEGORIES):
            season = np.array(category.season)[months % _YEAR] / _THOUSAND
            is_daily = 1.0 if place == assumed.CAPITATION else days
            use[place] = _growth(category.use_growth) * season * is_daily
            use[place] *= 1 + _noise(draws, f"use/{category.name}", category.noise)
            price[place] = _growth(category.cost_growth) * (1 + _noise(draws, f"price/{category.name}", category.noise))
        return cls(use, price)

    def claims(self) -> Reals:
        """Return claims per member month, relative, with the share of each category in the benefit year."""
        share = np.array([category.share for category in assumed.CATEGORIES], dtype=np.float64)
        claims = self.use * self.price
        return np.asarray(claims * (share / claims[:, _BEFORE:].mean(axis=1))[:, None])


def _growth(millionths: int) -> Reals:
    return np.cumprod(np.full(_MONTHS, 1 + millionths / 1_000_000))


def _noise(draws: Draws, step: str, thousandths: int) -> Reals:
    """Return a deviation for each month: a sum of three even draws has the standard deviation one half."""
    draw = draws.stream(step).unit(3 * _MONTHS).reshape(3, _MONTHS)
    return np.asarray((draw[0] + draw[1] + draw[2] - 1.5) * 2 * thousandths / _THOUSAND)


def _days(months: Integers) -> Integers:
    first = (months - 1970 * _YEAR).astype("datetime64[M]")
    return np.asarray(((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64))


# ------------------------------------------------------------------------------------------------ large claims


@dataclass(frozen=True, slots=True)
class _Large:
    """Enrollees whose care of a year was dear; one entry each, those of the benefit year first."""

    enrollee: pl.Series
    plan: Integers  # position among the issuer's plans; -1 before the benefit year
    month: Integers  # of the three years, from 0
    allowed: Integers  # cents


def _large_claims(draws: Draws, enrolled: Enrolled) -> _Large:
    bound = assumed.LARGE_CLAIM * _CENTS
    rows = enrolled.costs.with_columns(cents_of("allowed")).filter(pl.col("allowed") > bound)
    rows = rows.sort("enrollee_id", "plan_id", "csr_variant")
    plan = enrolled.place_of_plan(rows["plan_id"])
    start, end = enrolled.cover(rows.select("enrollee_id", "plan_id", "csr_variant"))
    day = start + draws.stream("large/day").below(end - start + 1, rows.height)
    month = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * _YEAR - enrolled.first_month
    found: list[pl.Series] = [rows["enrollee_id"]]
    plans, months, amounts = [plan], [month + _BEFORE], [rows["allowed"].to_numpy()]
    for year in range(len(assumed.YEARS_BEFORE)):
        stream = draws.stream(f"large/{year}")
        least, most = (int(enrolled.member_months.sum()) * n // _PER for n in assumed.LARGE_EARLIER)
        count = least + int(stream.below(most - least + 1, 1)[0])
        spread = stream.unit(count)
        over = (assumed.LARGEST_EARLIER - assumed.LARGE_CLAIM) * spread * spread
        numbers = pl.Series(range(1, count + 1)).cast(pl.String).str.zfill(7)
        found.append(pl.select(pl.concat_str(pl.lit(f"SYN-{chr(65 + year)}"), numbers)).to_series())
        plans.append(np.full(count, -1))
        months.append(stream.below(_YEAR, count) + year * _YEAR)
        amounts.append(bound + (over * _CENTS).astype(np.int64))
    return _Large(pl.concat(found), *(np.concatenate(parts) for parts in (plans, months, amounts)))


# ------------------------------------------------------------------------------------------------ the year's claims


@dataclass(frozen=True, slots=True)
class _Cells:
    """Ultimate claims of the benefit year: a line per plan, category, month and kind of benefit; cents."""

    plan: Integers
    category: Integers
    month: Integers  # 0 to 11
    is_essential: Integers
    allowed: Integers  # rebates included
    incurred: Integers
    rebates: Integers
    ordinary: Reals  # claims per member month that are not large, over their pattern

    @classmethod
    def of(cls, enrolled: Enrolled, pattern: _Pattern, large: _Large) -> _Cells:
        """Spread what the plans' enrollees cost over months and categories; each plan's sum is kept to the cent."""
        plans, categories = len(enrolled.plan_ids), len(_NAMES)
        weights = pattern.claims()[:, _BEFORE:]
        now = large.plan >= 0
        dear = np.bincount(large.plan[now], large.allowed[now], plans).astype(np.int64)
        ordinary = enrolled.allowed - dear
        net = np.zeros((plans, categories, _YEAR), dtype=np.int64)
        for plan in range(plans):
            net[plan] = _shared(int(ordinary[plan]), weights * enrolled.member_months[plan])
        level = ordinary.sum() / (weights * enrolled.member_months.sum(axis=0)).sum()
        np.add.at(net[:, assumed.HOSPITAL], (large.plan[now], large.month[now] - _BEFORE), large.allowed[now])
        other = np.zeros_like(net)
        other[:, assumed.OTHER] = net[:, assumed.OTHER] * assumed.NOT_ESSENTIAL // _THOUSAND
        essential = net - other
        index = np.indices(net.shape).reshape(3, -1)
        lines = np.concatenate([essential.ravel(), other.ravel()])
        kind = np.repeat([1, 0], net.size)
        plan, category, month = np.concatenate([index, index], axis=1)
        is_there = (kind == 1) | (category == assumed.OTHER)
        plan, category, month, kind, lines = (part[is_there] for part in (plan, category, month, kind, lines))
        share = _enrollee_shares(enrolled, plan, month, lines)
        rebates = np.where(category == assumed.DRUGS, lines * assumed.REBATES // _THOUSAND, 0)
        return cls(plan, category, month, kind, lines + rebates, lines - share + rebates, rebates, np.array([level]))

    def by_month(self) -> Integers:
        """Return allowed claims by category and month."""
        found = np.zeros((len(_NAMES), _YEAR), dtype=np.int64)
        np.add.at(found, (self.category, self.month), self.allowed)
        return found


def _enrollee_shares(enrolled: Enrolled, plan: Integers, month: Integers, allowed: Integers) -> Integers:
    """Return what enrollees pay of each line: less and less through the year, and no more than the line."""
    ramp = np.linspace(assumed.SHARE_IN_JANUARY, assumed.SHARE_IN_DECEMBER, _YEAR)[month]
    share = np.zeros(len(allowed), dtype=np.int64)
    for number in range(len(enrolled.plan_ids)):
        rows = np.flatnonzero(plan == number)
        left = int(enrolled.allowed[number] - enrolled.plan_paid[number])
        # Lines that are full give what is too much for them to the others.
        while left > 0:
            room = allowed[rows] - share[rows]
            part = np.minimum(_shared(left, np.where(room > 0, allowed[rows] * ramp[rows], 0.0)), room)
            share[rows] += part
            left -= int(part.sum())
    return share


def _shared(total: int, weights: Reals) -> Integers:
    """Return a whole amount shared out by weight, so that the parts add up to it."""
    before = np.cumsum(weights.ravel())
    if before[-1] <= 0:
        return np.zeros(weights.shape, dtype=np.int64)
    edges = np.floor(before * (total / before[-1]) + 0.5).astype(np.int64)
    edges[-1] = total
    return np.asarray(np.diff(edges, prepend=0).reshape(weights.shape))


def _earlier_claims(enrolled: Enrolled, pattern: _Pattern, cells: _Cells, large: _Large) -> Integers:
    """Return allowed claims of the years before, by category and month."""
    months = _member_months(enrolled)[:_BEFORE]
    claims = pattern.claims()[:, :_BEFORE] * months * cells.ordinary[0]
    found: Integers = np.floor(claims + 0.5).astype(np.int64)
    before = large.plan < 0
    np.add.at(found[assumed.HOSPITAL], large.month[before], large.allowed[before])
    found[assumed.DRUGS] += found[assumed.DRUGS] * assumed.REBATES // _THOUSAND
    return found


def _member_months(enrolled: Enrolled) -> Integers:
    """Return the member months of the three years."""
    now = enrolled.member_months.sum(axis=0)
    before = [now * share // _THOUSAND for share in assumed.YEARS_BEFORE]
    return np.concatenate([*before, now])


# ------------------------------------------------------------------------------------------------ payments


def _paid(draws: Draws, ultimate: Integers) -> list[Integers]:
    """Return the payments of every category, by month and lag up to the last month seen; cents."""
    found = []
    for place, category in enumerate(assumed.CATEGORIES):
        weights = np.array(category.paid_by_lag, dtype=np.float64)
        stream = draws.stream(f"paid/{category.name}").unit(3 * _MONTHS * len(weights)).reshape(3, _MONTHS, -1)
        noise = (stream[0] + stream[1] + stream[2] - 1.5) * 2 * assumed.LAG_NOISE / _THOUSAND
        lags = np.zeros((_MONTHS, _MONTHS + assumed.RUN_OUT), dtype=np.int64)
        for month in range(_MONTHS):
            lags[month, : len(weights)] = _shared(int(ultimate[place, month]), weights * (1 + noise[month]))
            lags[month, _MONTHS + assumed.RUN_OUT - month :] = 0  # not paid yet when the data were drawn
        found.append(lags)
    return found


# ------------------------------------------------------------------------------------------------ frames


def _by_plan(enrolled: Enrolled, transfers: pl.DataFrame | None) -> Integers | None:
    """Return transfers by plan and month, in cents, shared out by member months."""
    if transfers is None:
        return None
    summed = transfers.select("plan_id", cents_of("transfer")).group_by("plan_id").agg(pl.col("transfer").sum())
    strange = set(summed["plan_id"]) - set(enrolled.plan_ids)
    if strange:
        raise InputRefused(
            f"transfers are for {len(strange)} plans that issuer {enrolled.issuer_id} does not sell",
            where="transfers, column plan_id",
            remedy="hand in those of its own plans",
        )
    by_plan = dict(summed.rows())
    amounts = [by_plan.get(plan, 0) for plan in enrolled.plan_ids]
    months = enrolled.member_months.astype(np.float64)
    return np.array([_shared(amount, months[plan]) for plan, amount in enumerate(amounts)])


def _experience_frame(
    enrolled: Enrolled, cells: _Cells, paid: list[Integers], transfers: Integers | None
) -> pl.DataFrame:
    plan, month = cells.plan, cells.month
    allowed = np.zeros(len(plan), dtype=np.int64)
    for place in range(len(_NAMES)):
        for number in range(_YEAR):
            rows = np.flatnonzero((cells.category == place) & (month == number))
            to_date = int(paid[place][_BEFORE + number].sum())
            allowed[rows] = _shared(to_date, cells.allowed[rows].astype(np.float64))
    # Python's whole numbers: a cell's cents times cents may need more than 64 bits.
    incurred = [
        half_up_div(int(i) * int(a), int(u)) if u else 0
        for i, a, u in zip(cells.incurred, allowed, cells.allowed, strict=True)
    ]
    rebates = dollars(cells.rebates, "pharmacy_rebates", 16).set(pl.Series(cells.category != assumed.DRUGS), None)
    adjustment = pl.Series("risk_adjustment", [None] * len(plan), dtype=pl.Decimal(16, 2))
    if transfers is not None:
        adjustment = dollars(transfers[plan, month], "risk_adjustment", 16)
    columns = [
        _text(enrolled.issuer_id, len(plan), "issuer_id"),
        _text(enrolled.state, len(plan), "state"),
        _text("individual", len(plan), "market"),
        _dates(enrolled.first_month + month, "incurred_month"),
        _taken(enrolled.plan_ids, plan, "plan_id"),
        _taken(_NAMES, cells.category, "benefit_category"),
        pl.Series("is_ehb", cells.is_essential == 1),
        pl.Series("member_months", enrolled.member_months[plan, month]).cast(pl.Decimal(14, 4)),
        dollars(allowed, "allowed_paid_to_date", 16),
        dollars(np.array(incurred, dtype=np.int64), "incurred_paid_to_date", 16),
        _completion(cells.category),
        rebates,
        dollars(enrolled.premium[plan, month], "premium", 16),
        adjustment,
    ]
    keys = ["incurred_month", "plan_id", "benefit_category", "is_ehb"]
    # A plan that nobody held in a month has no line in it.
    return pl.DataFrame(columns).filter(pl.col("member_months") > 0).sort(keys)


def _triangle_frame(enrolled: Enrolled, paid: list[Integers]) -> pl.DataFrame:
    lags = np.arange(_MONTHS + assumed.RUN_OUT)
    is_seen = np.arange(_MONTHS)[:, None] + lags < len(lags)
    month, lag = np.nonzero(is_seen)
    start = enrolled.first_month - _BEFORE
    parts = [
        pl.DataFrame(
            [
                _dates(start + month, "incurred_month"),
                _dates(start + month + lag, "paid_month"),
                _text(name, len(month), "benefit_category"),
                dollars(paid[place][is_seen], "paid_amount", 16),
            ]
        )
        for place, name in enumerate(_NAMES)
        if place != assumed.CAPITATION
    ]
    return pl.concat(parts).sort("benefit_category", "incurred_month", "paid_month")


def _history_frame(enrolled: Enrolled, pattern: _Pattern, paid: list[Integers]) -> pl.DataFrame:
    months = _member_months(enrolled)
    level = pattern.use / pattern.use[:, _BEFORE:].mean(axis=1)[:, None]
    place, month = (part.ravel() for part in np.indices(level.shape))
    yearly = np.array([category.use for category in assumed.CATEGORIES])
    services = np.floor(level[place, month] * months[month] * yearly[place] / (_THOUSAND * _YEAR) + 0.5)
    seen = np.array([[int(line.sum()) for line in lines] for lines in paid])
    columns = [
        _dates(enrolled.first_month - _BEFORE + month, "incurred_month"),
        _taken(_NAMES, place, "benefit_category"),
        pl.Series("member_months", months[month]).cast(pl.Decimal(14, 4)),
        dollars(seen[place, month], "allowed_paid_to_date", 16),
        _completion(place),
        pl.Series("services", services.astype(np.int64)),
    ]
    return pl.DataFrame(columns).sort("benefit_category", "incurred_month")


def _large_frame(enrolled: Enrolled, large: _Large) -> pl.DataFrame:
    plans = _taken(("", *enrolled.plan_ids), large.plan + 1, "plan_id")
    columns = [
        large.enrollee.alias("enrollee_id"),
        plans.set(pl.Series(large.plan < 0), None),
        _dates(enrolled.first_month - _BEFORE + large.month, "incurred_month"),
        _text(_NAMES[assumed.HOSPITAL], len(large.month), "benefit_category"),
        dollars(large.allowed, "allowed", 12),
    ]
    return pl.DataFrame(columns).sort("incurred_month", "enrollee_id")


def _market_frame(market: Mapping[str, pl.DataFrame], enrolled: Enrolled, cells: _Cells) -> pl.DataFrame:
    """Return the market's EHB claims per member month, in the issuer's proportions of categories."""
    issuers = market["spans"].filter(pl.col("market") == "individual")["issuer_id"].unique().sort()
    everybody = [Enrolled.of(market, issuer) for issuer in issuers]
    total = sum(int(one.allowed.sum()) for one in everybody)
    months = sum(int(one.member_months.sum()) for one in everybody)
    rows = cells.is_essential == 1
    net = (cells.allowed - cells.rebates)[rows]
    by_category = np.bincount(cells.category[rows], net, len(_NAMES)).astype(np.int64)
    own = int(enrolled.allowed.sum())
    amounts = [half_up_div(int(amount) * total, own * months) for amount in by_category]
    return pl.DataFrame(
        [pl.Series("benefit_category", _NAMES), dollars(np.array(amounts, dtype=np.int64), "allowed_pmpm", 16)]
    )


def _completion(category: Integers) -> pl.Series:
    """Return 1 for capitation, which is not in the triangle, and nothing for the others."""
    ones = pl.repeat(1.0, len(category), eager=True)
    return ones.set(pl.Series(category != assumed.CAPITATION), None).alias("completion_factor")


def _text(value: str, count: int, name: str) -> pl.Series:
    return pl.repeat(value, count, eager=True).alias(name)


def _taken(values: tuple[str, ...], places: Integers, name: str) -> pl.Series:
    return pl.Series(values, dtype=pl.String).gather(pl.Series(places.astype(np.uint32))).alias(name)


def _dates(months: Integers, name: str) -> pl.Series:
    days = (months - 1970 * _YEAR).astype("datetime64[M]").astype("datetime64[D]").astype(np.int32)
    return pl.Series(name, days).cast(pl.Date)
