"""Where households of a quote live: counties by name, ZIPs by their counties, and what is possible where it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_specs._frames import need_columns, text_column
from data_specs.errors import InputRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COUNTIES", "POSSIBLE", "county_code", "possible_places", "with_zip_counties"]

_MAP = "rating/rating_area_map"
_PLACE = ("state", "county_fips", "zip_code")
# Columns that stand beside households, also beside those that are set aside.
POSSIBLE, COUNTIES = "areas_of_zip", "counties_of_zip"
_MOST_COUNTIES = 6  # of one area are named
_MOST_AREAS = 6  # are named with their counties
_KINDS_OF_COUNTY = r"(?i)\s+(county|parish|borough|census area|municipality)$"


def county_code(text: str | None, state: str | None) -> str | None:
    """Return the FIPS code of a county given by code or, within its state, by name.

    Raises
    ------
    InputRefused
        No county of the state has the name.

    Examples
    --------
    >>> county_code("39061", None), county_code("hamilton", "OH"), county_code("St. Louis County", "MN")
    ('39061', '39061', '27137')
    """
    if text is None or text.strip().isdigit():
        return None if text is None else text.strip()
    import polars as pl

    from data_specs import table

    plain = pl.lit(text).str.strip_chars().str.replace(_KINDS_OF_COUNTY, "").str.to_lowercase()
    known = table(_MAP).filter(pl.col("county_fips").is_not_null())
    if state is not None:
        known = known.filter(pl.col("state") == state.strip().upper())
    found = known.filter(pl.col("county_name").str.to_lowercase() == plain)["county_fips"].unique()
    if state is None or len(found) != 1:
        raise InputRefused(
            "a county given by its name needs its state" if state is None else "no county of the state has this name",
            where="--county",
            rule=f"names as in {_MAP}",
            remedy="give --state too" if state is None else "give its FIPS code of five digits",
        )
    return str(found[0])


def with_zip_counties(
    households: pl.LazyFrame,
    zip_counties: pl.DataFrame,
    *,
    plan_year: int,
    area_map: str | int,
    areas: pl.DataFrame | None,
) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Return households with what their ZIP says where the county is not given, and the uncertain figures of it.

    A ZIP in one county stands for the county. A ZIP in several counties of one rating area stands for the area. Where
    several areas are possible nothing is filled in; the column `areas_of_zip` lists them.

    Parameters
    ----------
    households : LazyFrame
        With zip_code; optional state, county_fips, rating_area_id.
    zip_counties : DataFrame
        zip_code, county_fips.
    plan_year, area_map
        As in :func:`rating.rating_area`.
    areas : DataFrame or None
        A map of rating areas by county that was handed in, to be asked instead of the published one.
    """
    import polars as pl

    names = households.collect_schema().names()
    given = [c for c in (*_PLACE, "rating_area_id") if c in names]
    for column in given:
        text_column(households.select(given).head(0).collect(), "households", column)
    asked = households.group_by(given).agg(_rows=pl.len().cast(pl.Int64)).collect(engine="streaming")
    asked = asked.with_columns(pl.lit(None, dtype=pl.String).alias(c) for c in _PLACE if c not in given)
    is_open = pl.col("county_fips").is_null() & pl.col("zip_code").is_not_null()
    if "rating_area_id" in given:
        is_open &= pl.col("rating_area_id").is_null()
    asked = asked.filter(is_open).group_by("zip_code", "state").agg(pl.col("_rows").sum()).sort("zip_code", "state")
    if asked.height == 0:
        return households, _uncertain(
            asked.with_columns(_is_uncertain=False, _rating_area_id=None), plan_year, area_map
        )
    known = _counties_with_state(zip_counties)
    found = _with_counties(asked, known)
    if areas is None:
        found = _with_published_areas(found, zip_counties, plan_year, area_map)
    else:
        found = _with_own_areas(found, areas)
    several = pl.col("counties").list.len() > 1
    found = found.with_columns(
        _rating_area_id=pl.when(several & (pl.col("areas").list.len() == 1)).then(pl.col("areas").list.first()),
        **{
            POSSIBLE: pl.when(pl.col("areas").list.len() > 1).then(pl.col("areas").list.join(", ")),
            COUNTIES: pl.when(several).then(pl.col("counties").list.join(", ")),
        },
    ).drop("counties", "areas")
    blank = [pl.lit(None, dtype=pl.String).alias(c) for c in (*_PLACE, "rating_area_id") if c not in names]
    filled = (
        households.with_columns(blank)
        .join(found.lazy(), on=["zip_code", "state"], how="left", nulls_equal=True, maintain_order="left")
        .with_columns(
            pl.when(is_open).then(pl.coalesce(c, f"_{c}")).otherwise(c).alias(c)
            for c in ("state", "county_fips", "rating_area_id")
        )
        .drop("_state", "_county_fips", "_rating_area_id", "_is_uncertain", "_rows")
    )
    return filled, _uncertain(found, plan_year, area_map)


def _with_counties(asked: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return each ZIP (within a state, where one is given) with its counties; _state, _county_fips where it has one."""
    import polars as pl

    lines = asked.with_columns(_zip=pl.col("zip_code").str.slice(0, 5)).join(
        known, on="_zip", how="left", maintain_order="left"
    )
    here = pl.col("state").is_null() | (pl.col("state") == pl.col("of_state"))
    lines = lines.with_columns(pl.when(here).then(c).alias(c) for c in ("in_county", "of_state"))
    found = lines.group_by("zip_code", "state", maintain_order=True).agg(
        counties=pl.col("in_county").drop_nulls().unique().sort(),
        states=pl.col("of_state").drop_nulls().unique().sort(),
        _rows=pl.col("_rows").first(),
    )
    one = {c: pl.when(pl.col(c).list.len() == 1).then(pl.col(c).list.first()) for c in ("counties", "states")}
    return found.with_columns(_state=pl.coalesce("state", one["states"]), _county_fips=one["counties"]).drop("states")


def _with_published_areas(
    found: pl.DataFrame, zip_counties: pl.DataFrame, plan_year: int, area_map: str | int
) -> pl.DataFrame:
    """Return the areas that are possible for each ZIP, and whether they come of a map of another year."""
    from rating import rating_area

    places = found.select("zip_code", state="_state", county_fips="_county_fips")
    placed = rating_area(places, plan_year=plan_year, area_map=area_map, zip_counties=zip_counties)
    return found.with_columns(
        placed["possible_rating_areas"].alias("areas"), placed["is_uncertain"].alias("_is_uncertain")
    )


def _with_own_areas(found: pl.DataFrame, areas: pl.DataFrame) -> pl.DataFrame:
    """Return the same from a map that was handed in, where it goes by county."""
    import polars as pl

    own = _with_area(_own_counties(areas, None)).select("county_fips", "area").drop_nulls().unique()
    lines = found.select("zip_code", "state", county_fips="counties").explode("county_fips")
    joined = lines.join(own, on="county_fips", how="left", maintain_order="left")
    possible = joined.group_by("zip_code", "state").agg(areas=pl.col("area").drop_nulls().unique().sort())
    return found.join(
        possible, on=["zip_code", "state"], how="left", nulls_equal=True, maintain_order="left", validate="1:1"
    ).with_columns(_is_uncertain=pl.lit(False))


def _counties_with_state(zip_counties: pl.DataFrame) -> pl.DataFrame:
    """Return ZIP, county and its state; a ZIP may cross a state line."""
    import polars as pl

    from data_specs import table

    need_columns(zip_counties, "zip_counties", ("zip_code", "county_fips"))
    counties = table(_MAP).drop_nulls("county_fips")
    states = counties.select(prefix=pl.col("county_fips").str.slice(0, 2), of_state="state").unique()
    lines = zip_counties.select(_zip=pl.col("zip_code").str.slice(0, 5), in_county="county_fips").unique()
    return (
        lines.with_columns(prefix=pl.col("in_county").str.slice(0, 2))
        .join(states, on="prefix", how="left", maintain_order="left", validate="m:1")
        .drop("prefix")
    )


def _uncertain(found: pl.DataFrame, plan_year: int, area_map: str | int) -> pl.DataFrame:
    import polars as pl

    used = int(found.filter(pl.col("_is_uncertain") & pl.col("_rating_area_id").is_not_null())["_rows"].sum())
    schema = {"table": pl.String, "what": pl.String, "moved": pl.String, "rows": pl.Int64}
    lines = [(_MAP, f"map of {area_map} for {plan_year}", "rating_area_id", used)] if used else []
    return pl.DataFrame(lines, schema=schema, orient="row")


def possible_places(
    refused: pl.DataFrame | None, areas: pl.DataFrame | None, snapshot_year: int
) -> tuple[list[str], str]:
    """Return the rating areas that are possible for a household, with counties where few are, and what to name.

    Parameters
    ----------
    refused : DataFrame or None
        The rows set aside, with `possible_areas` of the quote.
    areas : DataFrame or None
        The map that was handed in.
    snapshot_year : int
        Of the published map that was asked where none was.
    """
    if refused is None or "possible_areas" not in refused.columns or refused["possible_areas"].null_count():
        return [], ""
    row = refused.row(0, named=True)
    ids = str(row.get(POSSIBLE) or row["possible_areas"]).split(", ")
    counties = row.get(COUNTIES)
    named = {}
    if row.get("county_fips") is None and len(ids) <= _MOST_AREAS:
        known = _published_counties(snapshot_year) if areas is None else _own_counties(areas, row.get("zip_code"))
        named = _names_by_area(known, ids, counties.split(", ") if counties else None)
    shown = [f"{area} ({', '.join(named[area])})" if named.get(area) else area for area in ids]
    if row.get("county_fips") is not None:
        return shown, "give --zip: the areas of this county go by ZIP"
    return shown, "give --county: a FIPS code or its name" if row.get("state") else "give --state and --county"


def _published_counties(snapshot_year: int | None) -> pl.DataFrame:
    """Return state, county_fips, county_name, rating_area_id of the published map; of its last one without a year."""
    import polars as pl

    from data_specs import table

    known = table(_MAP).drop_nulls("county_fips").with_columns(rating_area_id=pl.col("rating_area").cast(pl.String))
    if snapshot_year is not None:
        known = known.filter(pl.col("snapshot_year") == snapshot_year)
    known = known.sort("snapshot_year", maintain_order=True).unique(["county_fips", "rating_area_id"], keep="last")
    return known.select("state", "county_fips", "county_name", "rating_area_id")


def _own_counties(areas: pl.DataFrame, zip_code: str | None) -> pl.DataFrame:
    """Return the same of a map that was handed in, where it goes by county."""
    import polars as pl

    names = _published_counties(None).select("county_fips", "county_name").unique("county_fips")
    if "county_fips" not in areas.columns:
        return pl.DataFrame(schema=dict.fromkeys(("state", "county_fips", "county_name", "rating_area_id"), pl.String))
    if zip_code is not None and "zip_code" in areas.columns:
        areas = areas.filter(pl.col("zip_code") == zip_code)
    state = pl.col("state") if "state" in areas.columns else pl.col("rating_area_id").str.slice(2, 2)
    known = areas.select(state.alias("state"), "county_fips", pl.col("rating_area_id").cast(pl.String)).unique()
    return known.join(names, on="county_fips", how="left", validate="m:1")


def _with_area(known: pl.DataFrame) -> pl.DataFrame:
    """Return counties with their area, written R-XX999."""
    from data_specs._policy import canonical_rating_areas

    return known.with_columns(area=canonical_rating_areas(known["rating_area_id"], known["state"]))


def _names_by_area(known: pl.DataFrame, ids: list[str], counties: list[str] | None) -> dict[str, list[str]]:
    """Return name and code of the counties of each area; nothing for an area with many."""
    import polars as pl

    found = _with_area(known).filter(pl.col("area").is_in(ids))
    if counties is not None:
        found = found.filter(pl.col("county_fips").is_in(counties))
    name = pl.coalesce(pl.concat_str("county_name", pl.lit(" "), "county_fips"), "county_fips")
    by_area = found.sort("county_fips").group_by("area").agg(name.unique(maintain_order=True).alias("names"))
    return {area: names for area, names in by_area.rows() if len(names) <= _MOST_COUNTIES}
