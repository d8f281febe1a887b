"""Where each number of a quote comes from, in words: one line per household, plan or member and number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs._policy import TIERS
from rating._credit_amounts import ehb_part
from rating._exact_columns import ExactColumn, cents_series
from rating._poverty import REGIONS
from rating._quote_frames import policy_tiers, words
from rating._silver_rates import AGES

if TYPE_CHECKING:
    import polars as pl

    from rating._quote import Quotes
    from rating._quote_work import Work

__all__ = ["explanation_frame"]

_OFF_EXCHANGE = "00"
_COLUMNS = ("household_id", "plan_id", "member_id", "step", "item", "amount", "how", "source")
_STEPS = (
    "income_pct_of_poverty",
    "applicable_pct",
    "monthly_contribution",
    "benchmark_monthly",
    "member_rate",
    "premium_monthly",
    "monthly_credit",
    "net_premium_monthly",
    "csr_variant",
)
_WHY_NO_CREDIT = {
    "income_below_limit": "the income is below the limit of the year",
    "income_above_limit": "the income is above the limit of the year",
    "no_eligible_member": "no covered member is eligible",
    "contribution_covers_benchmark": "the contribution is not below the benchmark",
    "no_benchmark": "not known: no silver plan is the benchmark here",
    "income_not_given": "not known: no income was given",
    "percentages_not_published": "not known: the percentages of the year are not published",
    "small_group": "none in the small-group market",
    "off_exchange": "none for plans sold outside the exchange",
    "catastrophic": "none for catastrophic plans",
    "metal_level_not_given": "not known: the plan has no metal level",
}


def explanation_frame(work: Work, quotes: Quotes) -> pl.DataFrame:
    """Return one line for each number: household_id, plan_id, member_id, step, item, amount, how, source."""
    import polars as pl

    homes = _homes(work)
    homes = homes.join(quotes.households.select("household_id").unique(), on="household_id", how="semi")
    lines = [
        *_of_homes(homes, work),
        _member_rates(work, quotes),
        _premiums(work, quotes),
        *_credits(work, quotes),
    ]
    whole = pl.concat([line.select(_COLUMNS) for line in lines])
    return whole.sort("household_id", "plan_id", "step", "member_id", nulls_last=False, maintain_order=True)


def _line(frame: pl.DataFrame, item: str, amount: pl.Expr, how: pl.Expr, source: str) -> pl.DataFrame:
    import polars as pl

    missing = [pl.lit(None, dtype=pl.String).alias(c) for c in ("plan_id", "member_id") if c not in frame.columns]
    return frame.with_columns(missing).with_columns(
        pl.lit(_STEPS.index(item) + 1, dtype=pl.Int64).alias("step"),
        pl.lit(item).alias("item"),
        amount.cast(pl.String).alias("amount"),
        how.alias("how"),
        pl.lit(source).alias("source"),
    )


def _homes(work: Work) -> pl.DataFrame:
    import polars as pl

    found, homes = work.by_credit, work.homes
    return pl.DataFrame(
        {
            "household_id": homes.frame["household_id"],
            "income": cents_series(homes.income, "income"),
            "size": homes.size,
            "region": pl.Series(REGIONS).gather(homes.region),
            "line": found.line,
            "percent": found.percent,
            "pct": cents_series(np.maximum(found.hundredths, 0), "pct"),
            "annual": found.annual,
            "monthly": cents_series(100 * np.maximum(found.monthly, 0), "monthly"),
            "benchmark": cents_series(np.maximum(work.benchmark, 0), "benchmark"),
            "has_benchmark": work.benchmark >= 0,
            "plan": words("plan", work.sale.plan_ids.to_list(), work.benchmark_offer),
        }
    )


def _of_homes(homes: pl.DataFrame, work: Work) -> list[pl.DataFrame]:
    import polars as pl

    year, settings = work.plan_year, work.settings
    percent = pl.format(
        "floor(100 x {} / {}), 401 above 400; guideline of {}, {}, {} in the tax household",
        "income", "line", pl.lit(year - 1), "region", "size",
    )  # fmt: skip
    share = pl.format("straight line within the band of {} percent of the poverty line, to 0.01 percent", "percent")
    contribution = pl.format(
        "{} x {} percent = {} a year in whole dollars; / 12 in whole dollars", "income", "pct", "annual"
    )
    benchmark = pl.format(
        "second-lowest-cost silver plan for the eligible members, without tobacco, essential health benefits: {}"
        " (reading of a tie: {})",
        "plan", pl.lit(settings.tie),
    ).fill_null("as the exchange determined it: no silver plan is offered to the eligible members")  # fmt: skip
    with_income, with_share = homes.filter(pl.col("percent") >= 0), homes.filter(pl.col("annual") >= 0)
    return [
        _line(with_income, "income_pct_of_poverty", pl.col("percent"), percent, "rating/federal_poverty_guidelines"),
        _line(with_share, "applicable_pct", pl.col("pct"), share, "rating/ptc_applicable_percentages"),
        _line(with_share, "monthly_contribution", pl.col("monthly"), contribution, "26 CFR 1.36B-3(g)"),
        _line(
            homes.filter("has_benchmark"),
            "benchmark_monthly",
            pl.col("benchmark"),
            benchmark,
            "26 CFR 1.36B-3(f); 45 CFR 155.20",
        ),
    ]


def _texts(column: ExactColumn, number: int) -> list[str]:
    """Return exact numbers as plain decimals."""

    def text(value: int) -> str:
        digits = str(value).zfill(column.decimals + 1)
        return digits if not column.decimals else f"{digits[: -column.decimals]}.{digits[-column.decimals :]}"

    found = [text(value) for value in column.by_place()]
    return found * number if column.is_single else found


def _offers(work: Work) -> pl.DataFrame:
    """Return the offers by rating area and plan: their row, and base, area factor and ratio as they were handed in."""
    import polars as pl

    sale = work.sale
    area = np.repeat(np.arange(len(sale.area_ids)), np.diff(sale.first))
    frame = pl.DataFrame(
        {
            "rating_area_id": pl.Series(sale.area_ids, dtype=pl.String).gather(area),
            "plan_id": sale.plan_ids,
            "children": sale.most_children,
            "share": sale.ehb_share,
        }
    )
    if sale.bases is None:
        return frame
    number = frame.height
    return frame.with_columns(
        pl.Series("base", _texts(sale.bases.base, number), dtype=pl.String),
        pl.Series("ratio", _texts(sale.bases.ratio, number), dtype=pl.String),
        pl.Series("area_factor", _texts(sale.bases.area_factor, number), dtype=pl.String),
        *(
            pl.Series(f"trend_{quarter}", _texts(trend, number), dtype=pl.String)
            for quarter, trend in enumerate(sale.bases.trend)
        ),
    )


def _by_offer(work: Work, quotes: Quotes) -> pl.DataFrame:
    """Return household x plan with what its offer says."""
    return quotes.households.join(
        _offers(work), on=["rating_area_id", "plan_id"], how="left", validate="m:1", maintain_order="left"
    )


def _member_rates(work: Work, quotes: Quotes) -> pl.DataFrame:
    import polars as pl

    assert quotes.members is not None
    members = quotes.members.filter(pl.col("rate_monthly").is_not_null()).join(
        _by_offer(work, quotes).drop("premium_monthly"),
        on=["household_id", "plan_id"],
        how="left",
        validate="m:1",
        maintain_order="left",
    )
    quarters = pl.DataFrame({"household_id": work.homes.frame["household_id"], "quarter": work.homes.quarter})
    members = members.join(quarters, on="household_id", how="left", validate="m:1", maintain_order="left")
    band = pl.col("age").clip(0, AGES - 1)
    if work.sale.bases is None:
        kind = pl.when("is_tobacco_rated").then(pl.lit("tobacco rate")).otherwise(pl.lit("rate"))
        priced = pl.format("filed {} of age {} ({} on the effective date)", kind, band, "age")
        source = "rates as filed; 45 CFR 147.102"
    else:
        members = members.with_columns(_factor(work, band))
        tobacco = pl.when("is_tobacco_rated").then(pl.format(" x tobacco {}", "ratio")).otherwise(pl.lit(""))
        trend = pl.lit("")
        for quarter in range(len(work.sale.bases.trend)):
            if work.settings.market == "small_group":
                said = pl.format(" x trend {}", f"trend_{quarter}")
                trend = pl.when(pl.col("quarter") == quarter).then(said).otherwise(trend)
        priced = pl.format(
            "base {}{} x area {} x age factor {} (age {}){}, rounded to cents once",
            "base", trend, "area_factor", "factor", "age", tobacco,
        )  # fmt: skip
        source = "rating/age_curves; 45 CFR 147.102"
    free = pl.format("not charged: of the children below 21 the oldest {} are", "children")
    how = pl.when("is_charged").then(priced).otherwise(free)
    return _line(members, "member_rate", pl.col("rate_monthly"), how, source)


def _millionths(number: int) -> str:
    """Return a factor with three decimals, or more where it has more."""
    whole, rest = divmod(number, 1_000_000)
    return f"{whole}.{f'{rest:06d}'.rstrip('0').ljust(3, '0')}"


def _by_text(millionths: NDArray[np.int64]) -> tuple[list[int], list[str]]:
    known = np.unique(millionths).tolist()
    return known, [_millionths(n) for n in known]


def _factor(work: Work, age: pl.Expr) -> pl.Expr:
    """Return the age factor of a member's state as text."""
    import polars as pl

    found: pl.Expr = pl.lit(None, dtype=pl.String)
    for state, factors in work.sale.factors.items():
        texts = [_millionths(n) for n in factors.curve.at(np.arange(AGES)).tolist()]
        here = pl.col("rating_area_id").str.slice(2, 2) == state
        by_age = age.replace_strict(list(range(AGES)), texts, default=None, return_dtype=pl.String)
        found = pl.when(here).then(by_age).otherwise(found)
    return found.alias("factor")


def _premiums(work: Work, quotes: Quotes) -> pl.DataFrame:
    import polars as pl

    assert quotes.members is not None
    sums = quotes.members.group_by("household_id", "plan_id", maintain_order=True).agg(
        pl.col("rate_monthly").cast(pl.String).filter("is_charged").alias("rates"), pl.len().alias("members")
    )
    tier, millionths = policy_tiers(work)
    tiers = pl.DataFrame(
        {
            "household_id": work.homes.frame["household_id"],
            "tier": words("tier", TIERS, tier),
            "multiplier": pl.Series(millionths).replace_strict(*_by_text(millionths), return_dtype=pl.String),
        }
    )
    frame = quotes.households.join(
        sums, on=["household_id", "plan_id"], how="left", validate="1:1", maintain_order="left"
    ).join(tiers, on="household_id", how="left", validate="m:1", maintain_order="left")
    by_member = pl.format("{} of the charged members", pl.col("rates").list.join(" + "))
    by_tier = pl.format(
        "family tier {}, further adults as one adult each: multiplier {} of one adult, or the filed rate of the tier",
        "tier", "multiplier",
    )  # fmt: skip
    how = pl.when(pl.col("tier").is_null()).then(by_member).otherwise(by_tier)
    return _line(frame, "premium_monthly", pl.col("premium_monthly"), how, "45 CFR 147.102(c)")


def _credits(work: Work, quotes: Quotes) -> list[pl.DataFrame]:
    import polars as pl

    frame = _by_offer(work, quotes)
    cents = (quotes.households["premium_monthly"].cast(pl.Decimal(38, 2)) * 100).cast(pl.Int64).to_numpy()
    frame = frame.with_columns(cents_series(ehb_part(cents, frame["share"].to_numpy()), "ehb"))
    mixed = pl.DataFrame({"household_id": work.homes.frame["household_id"], "is_mixed": work.is_mixed})
    frame = frame.join(mixed, on="household_id", how="left", validate="m:1", maintain_order="left")
    part = pl.when("is_mixed").then(pl.lit(", the eligible members' part of it")).otherwise(pl.lit(""))
    due = pl.format(
        "smaller of the premium for essential health benefits {}{} and benchmark {} - contribution {}",
        "ehb", part, "benchmark_monthly", "monthly_contribution",
    )  # fmt: skip
    why = pl.col("notes").replace_strict(_WHY_NO_CREDIT, default=None, return_dtype=pl.String)
    credit = pl.when(pl.col("notes") == "credit").then(due).otherwise(why)
    known = frame.filter(pl.col("net_premium_monthly").is_not_null())
    net = pl.format("{} - {}", "premium_monthly", "monthly_credit")
    variants = frame.filter(pl.col("csr_variant").is_not_null())
    targets = work.by_credit.rules.rows.select("hios_variant", "target_av_pct").unique("hios_variant")
    variants = variants.join(
        targets, left_on="csr_variant", right_on="hios_variant", how="left", validate="m:1", maintain_order="left"
    )
    said = pl.format("income at {} percent of the poverty line, {} plan", "income_pct_of_poverty", "metal_level")
    value = pl.format("; actuarial value {} percent", "target_av_pct").fill_null("; that of the plan")
    said = pl.when(pl.col("csr_variant") == _OFF_EXCHANGE).then(pl.lit("bought outside the exchange")).otherwise(said)
    how = pl.concat_str(said.fill_null("any income"), value)
    return [
        _line(frame, "monthly_credit", pl.col("monthly_credit"), credit, "26 U.S.C. 36B(b)(2)"),
        _line(known, "net_premium_monthly", pl.col("net_premium_monthly"), net, "45 CFR 155.340"),
        _line(variants, "csr_variant", pl.col("csr_variant"), how, "rating/csr_bands; 45 CFR 155.305(g)"),
    ]
