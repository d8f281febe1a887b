"""The rating area of an address: by county, by three-digit ZIP, or by both together; never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from data_specs import _frames, _registry
from data_specs.errors import InputRefused, SettingRefused, TableMissing
from rating._figures import whole_year
from rating._frame_rows import collected

if TYPE_CHECKING:
    import polars as pl

__all__ = ["map_year", "rating_area"]

_MAP = "rating/rating_area_map"
_ADDRESS = ("state", "county_fips", "zip_code")
# A ZIP of five digits, nine with or without hyphen, or its first three alone.
_ZIP = r"^([0-9]{3})(?:[0-9]{2}(?:-?[0-9]{4})?)?$"
_PLACE = ["state", "county", "zip3"]


def rating_area(
    addresses: pl.DataFrame | pl.LazyFrame | Mapping[str, str | None],
    *,
    plan_year: int,
    area_map: str | int = "exact",
    zip_counties: pl.DataFrame | pl.LazyFrame | None = None,
) -> Any:
    """Return the rating area of each address, or which areas are possible.

    The area is that of the policyholder's residence (individual market) or of the employer's principal address (small
    group). Most states go by county; some by three-digit ZIP; in Los Angeles County the ZIP prefix decides, but only
    together with the county, since neighboring counties share prefixes. An address that fits several areas has none,
    and one that fits no row of the map has none: no area is assumed.

    Parameters
    ----------
    addresses : frame, or mapping for one address
        ``state`` (two letters), ``county_fips`` (five digits), ``zip_code`` (five or nine digits, or the first three);
        blanks and left out columns narrow nothing down.
    plan_year : int
        The year whose map is asked for.
    area_map : "exact" or a year
        ``exact`` (default): a plan year without a map is an error, never silently the nearest year. A snapshot year
        that the map holds is used for any plan year; the result says so in `is_uncertain`.
    zip_counties : frame, optional
        ``zip_code``, ``county_fips``: the counties that a ZIP lies in, to be asked where an address has no county.

    Returns
    -------
    DataFrame or str
        For a frame, its rows in their order with: ``rating_area_id`` (``R-XX001``, or null), ``reason`` (null;
        ``ambiguous``; ``unknown_state``, ``unknown_county``, ``unknown_zip``; ``county_of_another_state``),
        ``possible_rating_areas`` (sorted; all that fit), ``area_map_year``, ``is_uncertain`` (the map is of another
        year than the plan year). For a mapping, the rating area.

    Raises
    ------
    InputRefused
        A column has the wrong type; or, for one address, no single area is determined: the message lists those
        possible.
    TableMissing
        The map has no snapshot of the plan year, or of the year named.
    SettingRefused
        `area_map` is neither ``exact`` nor a year.

    Notes
    -----
    Source: 45 CFR 147.102(b); CMS, state geographic rating area pages (``rating/rating_area_map``).

    Examples
    --------
    >>> rating_area({"state": "CA", "county_fips": "06037", "zip_code": "90012"}, plan_year=2023)
    'R-CA016'
    >>> import polars as pl
    >>> addresses = pl.DataFrame({"state": ["CA", "DC"], "county_fips": ["06037", None]})
    >>> found = rating_area(addresses, plan_year=2026, area_map=2023)
    >>> found.select("rating_area_id", "reason", "possible_rating_areas", "is_uncertain").rows()
    [(None, 'ambiguous', ['R-CA015', 'R-CA016'], True), ('R-DC001', None, ['R-DC001'], True)]
    """
    import polars as pl

    if isinstance(addresses, Mapping):
        columns = {name: [addresses.get(name)] for name in _ADDRESS}
        one = pl.DataFrame(columns, schema=dict.fromkeys(_ADDRESS, pl.String), strict=False)
        return _the_one(_found(one, plan_year, area_map, zip_counties))
    return _found(collected(addresses, "addresses", ("state",)), plan_year, area_map, zip_counties)


def map_year(plan_year: int, area_map: str | int = "exact") -> int:
    """Return the snapshot year of the map that serves a plan year.

    Examples
    --------
    >>> map_year(2023), map_year(2026, 2023), map_year(2026, "2015")
    (2023, 2023, 2015)
    """
    year = whole_year(plan_year, "plan_year")
    if area_map == "exact":
        return year
    if isinstance(area_map, str) and area_map.isascii() and area_map.isdigit():
        return int(area_map)
    if isinstance(area_map, bool) or not hasattr(area_map, "__index__"):
        raise SettingRefused(
            f"area_map cannot be {area_map!r}", rule="exact, or the year of a snapshot", remedy='write "exact" or 2023'
        )
    return int(area_map)


def _map_of(plan_year: int, area_map: str | int) -> pl.DataFrame:
    year = map_year(plan_year, area_map)
    try:
        return _registry.rows(_MAP, year=year)
    except TableMissing as missing:
        raise TableMissing(
            f"no map of rating areas is held for {year}",
            where=missing.where or _MAP,
            rule="states change their areas: the map of another year is used only when it is named",
            remedy="name a snapshot that is held (area_map=2023), or supply the map of the year; " + missing.remedy,
        ) from None


def _found(frame: pl.DataFrame, plan_year: int, area_map: str | int, zip_counties: Any) -> pl.DataFrame:
    import polars as pl

    rows, year = _map_of(plan_year, area_map), map_year(plan_year, area_map)
    prefixes = _state_prefixes()
    asked = _addresses(frame, prefixes)
    if zip_counties is not None:
        asked = _with_counties(asked, collected(zip_counties, "zip_counties", ("zip_code", "county_fips")), prefixes)
    asked = _without_idle_zips(asked, rows)
    judged = _judged(asked.select(_PLACE).unique(), rows, prefixes)
    found = asked.sort("line").join(
        judged, on=_PLACE, how="left", nulls_equal=True, maintain_order="left", validate="m:1"
    )
    if found.height > frame.height:
        found = found.group_by("line", maintain_order=True).agg(
            pl.col("areas").explode().drop_nulls().unique().sort(), pl.col("why_none").drop_nulls().sort().first()
        )
    empty = pl.lit([], dtype=pl.List(pl.String))
    found = found.with_columns(pl.col("areas").fill_null(empty))
    areas, count = pl.col("areas"), pl.col("areas").list.len()
    found = found.select(
        pl.when(count == 1).then(areas.list.first()).alias("rating_area_id"),
        pl.when(count == 0).then("why_none").when(count > 1).then(pl.lit("ambiguous")).alias("reason"),
        areas.alias("possible_rating_areas"),
        pl.lit(year, dtype=pl.Int32).alias("area_map_year"),
        pl.lit(year != int(plan_year)).alias("is_uncertain"),
    )
    return frame.drop(found.columns, strict=False).hstack(found)


def _state_prefixes() -> pl.DataFrame:
    """Return the first two digits of the counties of each state, as far as some map goes by county."""
    import polars as pl

    counties = _registry.rows(_MAP).drop_nulls("county_fips")
    return counties.select(prefix=pl.col("county_fips").str.slice(0, 2), of_state="state").unique()


def _addresses(frame: pl.DataFrame, prefixes: pl.DataFrame) -> pl.DataFrame:
    """Return line, state (of the county where it is blank), county, the first three digits of the ZIP, and the ZIP."""
    import polars as pl

    texts = {
        name: _frames.text_column(frame, "addresses", name).str.strip_chars().replace("", None)
        if name in frame.columns
        else pl.Series([None] * frame.height, dtype=pl.String)
        for name in _ADDRESS
    }
    lines = pl.DataFrame(texts).select(
        line=pl.int_range(pl.len()),
        state=pl.col("state").str.to_uppercase(),
        county="county_fips",
        zip3=pl.col("zip_code").str.extract(_ZIP),
        zip5=pl.col("zip_code").str.slice(0, 5),
        prefix=pl.col("county_fips").str.slice(0, 2),
    )
    lines = lines.join(prefixes, on="prefix", how="left", maintain_order="left", validate="m:1")
    return lines.with_columns(state=pl.coalesce("state", "of_state")).drop("prefix", "of_state")


def _with_counties(asked: pl.DataFrame, zip_counties: pl.DataFrame, prefixes: pl.DataFrame) -> pl.DataFrame:
    """Return the addresses, those without a county once for each county of their state that the ZIP lies in.

    A ZIP may cross a state line; the address says on which side of it. Counties of states that go by ZIP alone say
    nothing here.
    """
    import polars as pl

    columns = {"zip5": "zip_code", "in_county": "county_fips"}
    texts = {to: _frames.text_column(zip_counties, "zip_counties", of).str.strip_chars() for to, of in columns.items()}
    known = pl.DataFrame(texts).with_columns(
        zip5=pl.col("zip5").str.slice(0, 5), prefix=pl.col("in_county").str.slice(0, 2)
    )
    known = known.join(prefixes, on="prefix", validate="m:1").select("zip5", "in_county", state="of_state").unique()
    lines = asked.join(known, on=["zip5", "state"], how="left", maintain_order="left_right")
    return lines.with_columns(county=pl.coalesce("county", "in_county")).drop("in_county").unique()


def _without_idle_zips(asked: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the addresses without ZIP where the map does not ask for it: far fewer places are then to be judged."""
    import polars as pl

    by_zip = rows.drop_nulls("zip3")
    states = by_zip.filter(pl.col("county_fips").is_null())["state"].unique().implode()
    partly = by_zip["state"].unique().implode()
    counties = by_zip["county_fips"].drop_nulls().unique().implode()
    asks = pl.col("state").is_in(states) | pl.col("county").is_in(counties)
    asks = asks | (pl.col("county").is_null() & pl.col("state").is_in(partly))
    return asked.with_columns(zip3=pl.when(asks).then("zip3"))


def _judged(places: pl.DataFrame, rows: pl.DataFrame, prefixes: pl.DataFrame) -> pl.DataFrame:
    """Return for each state, county and ZIP prefix the areas that fit, and why there is none."""
    import polars as pl

    number = pl.col("rating_area").cast(pl.String).str.zfill(3)
    of_map = rows.select(
        "state", map_county="county_fips", map_zip3="zip3", area=pl.concat_str(pl.lit("R-"), "state", number)
    )
    in_map = of_map.group_by("state").agg(
        by_county=pl.col("map_county").is_not_null().any(), counties=pl.col("map_county").drop_nulls().unique()
    )
    own = prefixes.rename({"of_state": "county_state"})
    places = places.with_columns(prefix=pl.col("county").str.slice(0, 2)).join(own, on="prefix", how="left")
    places = places.join(in_map, on="state", how="left")
    is_elsewhere = (pl.col("county_state") != pl.col("state")).fill_null(False)
    is_new = pl.col("by_county") & pl.col("county").is_not_null() & ~pl.col("county").is_in("counties")
    places = places.with_columns(
        why_none=pl.when(pl.col("by_county").is_null())
        .then(pl.lit("unknown_state"))
        .when(is_elsewhere)
        .then(pl.lit("county_of_another_state"))
        .when(is_new)
        .then(pl.lit("unknown_county"))
    )
    to_find = places.filter(pl.col("why_none").is_null()).select(_PLACE)
    with_county, without = to_find.drop_nulls("county"), to_find.filter(pl.col("county").is_null())
    by_county, by_zip = of_map.drop_nulls("map_county"), of_map.filter(pl.col("map_county").is_null())
    candidates = (
        with_county.join(by_county, left_on=["state", "county"], right_on=["state", "map_county"]),
        without.join(by_county.drop("map_county"), on="state"),
        to_find.join(by_zip.drop("map_county"), on="state"),
    )
    same_zip = pl.col("map_zip3").is_null() | pl.col("zip3").is_null() | (pl.col("map_zip3") == pl.col("zip3"))
    fitting = pl.concat(candidates).filter(same_zip).group_by(_PLACE).agg(areas=pl.col("area").unique().sort())
    return (
        places.join(fitting, on=_PLACE, how="left", nulls_equal=True)
        .with_columns(why_none=pl.when(pl.col("areas").is_null()).then(pl.coalesce("why_none", pl.lit("unknown_zip"))))
        .select(*_PLACE, "areas", "why_none")
    )


_REASONS = {
    "ambiguous": "the address lies in one of several rating areas",
    "county_of_another_state": "the county is not one of the state's",
    "unknown_county": "the county is not in the map",
    "unknown_state": "the state is missing, or not in the map",
    "unknown_zip": "the three-digit ZIP is not in the map",
}


def _the_one(found: pl.DataFrame) -> str:
    row = found.row(0, named=True)
    if row["rating_area_id"] is not None:
        return str(row["rating_area_id"])
    possible = ", ".join(row["possible_rating_areas"])
    raise InputRefused(
        _REASONS[row["reason"]] + (f": {possible}" if possible else ""),
        where=f"address; {_MAP} of {row['area_map_year']}",
        rule="45 CFR 147.102(b): the rating area of the residence or business address; none is assumed",
        remedy="say which county and ZIP the address lies in" if possible else "check state, county and ZIP",
    )
