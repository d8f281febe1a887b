"""What the demo leaves to be quoted: filed rates of the made-up market, where its plans are sold, some households."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FOLDER", "HOUSEHOLD", "rate_frames", "write_rates"]

FOLDER = "rates"
HOUSEHOLD = "--state OH --county Hamilton --person 45 --person 43,spouse,tobacco --person child:12 --income 65000"
_MAP = "rating/rating_area_map"
_TOBACCO_RATIO = "1.2"  # made up, like every price of this market
_NAMES = ("relationship", "birth_date", "tobacco_use", "county_fips", "annual_income", "tax_household_size")
# Made-up people in counties of the areas where the market's plans are sold.
_HOUSEHOLDS = (
    (("self", "1979-06-30", False, "39061", "31000", 1),),
    (("self", "1964-02-11", False, "39095", "79000", 2), ("spouse", "1965-09-05", True, "39095", "79000", 2)),
    (
        ("self", "1986-03-02", False, "39017", "58000", 6),
        ("spouse", "1987-12-24", False, "39017", "58000", 6),
        ("child", "2010-01-19", False, "39017", "58000", 6),
        ("child", "2013-07-08", False, "39017", "58000", 6),
        ("child", "2016-05-27", False, "39017", "58000", 6),
        ("child", "2021-10-14", False, "39017", "58000", 6),
    ),
    (("self", "1999-04-21", False, "39003", None, None),),
)


def rate_frames(market: dict[str, pl.DataFrame], state: str, plan_year: int) -> dict[str, pl.DataFrame]:
    """Return rates, plans, areas, service_areas and households of a made-up market, as ``poolwise quote`` reads them.

    Rates follow from the base premiums and area factors of the market by :func:`rating.rate_table`, with a tobacco
    ratio that is made up too. Counties are those of the last published map of the state's rating areas; plans are
    sold in every county of the areas that have a factor.
    """
    import polars as pl

    from data_specs import table
    from rating import rate_table

    plans = market["plans"].filter(pl.col("market") == "individual")
    base = plans.select("plan_id", base_rate="base_premium_monthly", tobacco_ratio=pl.lit(_TOBACCO_RATIO))
    factors = plans.select("plan_id", "issuer_id").join(market["area_factors"], on="issuer_id").drop("issuer_id")
    rates = rate_table(base, factors, state=state, market="individual", plan_year=plan_year)
    published = table(_MAP, state=state).filter(pl.col("snapshot_year") == pl.col("snapshot_year").max())
    number = pl.col("rating_area").cast(pl.String).str.zfill(3)
    area = pl.format("R-{}{}", "state", number)
    areas = published.select("state", "county_fips", "county_name", area.alias("rating_area_id")).sort("county_fips")
    served = factors.join(areas, on="rating_area_id").select("plan_id", "county_fips").sort("plan_id", "county_fips")
    offered = plans.select(
        pl.lit(plan_year, dtype=pl.Int16).alias("plan_year"),
        "plan_id",
        "issuer_id",
        "state",
        "market",
        "metal_level",
        pl.lit(True).alias("on_exchange"),
        pl.lit(1.0).alias("ehb_pct_premium"),
    )
    return {
        "rates": rates,
        "plans": offered,
        "areas": areas,
        "service_areas": served,
        "households": _households(state),
    }


def _households(state: str) -> pl.DataFrame:
    import polars as pl

    rows = [
        (f"H{home}", str(member), state, *cells)
        for home, people in enumerate(_HOUSEHOLDS, 1)
        for member, cells in enumerate(people, 1)
    ]
    names = ["household_id", "member_id", "state", *_NAMES]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(pl.col("birth_date").str.to_date())


def write_rates(market: dict[str, pl.DataFrame], folder: Path, state: str, plan_year: int) -> list[str]:
    """Write these tables into the folder of rates; return the tables of published figures that were used."""
    (folder / FOLDER).mkdir()
    for name, frame in rate_frames(market, state, plan_year).items():
        frame.write_parquet(folder / FOLDER / f"{name}.parquet", compression="zstd")
    return [_MAP, "rating/age_curve_assignment", "rating/age_curves", "rating/tobacco_limits"]
