"""Where households live: the one rating area of each, or why there is none; never a guess among several."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs._policy import canonical_rating_areas
from data_specs.errors import InputRefused
from rating._frame_rows import collected
from rating._rate_input import refuse_rows

if TYPE_CHECKING:
    import polars as pl

__all__ = ["AMBIGUOUS", "PLACED", "PLACE_COLUMNS", "UNKNOWN", "rating_areas_of"]

Integers = NDArray[np.int64]

PLACE_COLUMNS = ("state", "county_fips", "zip_code")
PLACED, AMBIGUOUS, UNKNOWN = range(3)


def rating_areas_of(households: pl.DataFrame, areas: Any | None) -> pl.DataFrame:
    """Return the rating area of each row of `households`.

    Parameters
    ----------
    households : DataFrame
        ``rating_area_id`` (with ``state``, unless written R-XX999; null with ``possible_rating_areas`` where several
        fit, as ``rating.rating_area`` returns them), or some of state, county_fips, zip_code.
    areas : DataFrame or None
        Rows of places: ``rating_area_id``, ``state``, and county_fips, zip_code or both. A place may stand in several
        rows. Matched by the place columns that both frames have and that the household fills.

    Returns
    -------
    DataFrame
        In the order of `households`: area (R-XX999 or null), possible_areas (sorted list, where there are several),
        how (:data:`PLACED`, :data:`AMBIGUOUS`, :data:`UNKNOWN`).

    Raises
    ------
    InputRefused
        Neither a rating area nor a way to one is given.

    Examples
    --------
    >>> import polars as pl
    >>> areas = pl.DataFrame({"zip_code": ["00001", "00002", "00002"], "state": ["TX"] * 3,
    ...     "rating_area_id": [1, 1, 2]})
    >>> homes = pl.DataFrame({"zip_code": ["00001", "00002", "00003"]})
    >>> rating_areas_of(homes, areas).select("area", "how").rows()
    [('R-TX001', 0), (None, 1), (None, 2)]
    """
    import polars as pl

    given = pl.Series("area", [None] * households.height, dtype=pl.String)
    if "rating_area_id" in households.columns:
        given = _canonical(households, "households").alias("area")
    elif areas is None:
        raise InputRefused(
            "households have no rating area, and no map of areas was handed in",
            where="households, column rating_area_id",
            rule="the area is that of the policyholder's residence; it is never guessed",
            remedy="add rating_area_id (rating.rating_area finds it), or hand in `areas`",
        )
    possible = pl.lit(None, dtype=pl.List(pl.String))
    if "possible_rating_areas" in households.columns:
        listed = households["possible_rating_areas"].cast(pl.List(pl.String))
        possible = pl.when(given.is_null() & (listed.list.len() > 1)).then(listed)
    found = pl.DataFrame({"area": given}).with_columns(possible.alias("possible_areas"))
    several = pl.col("possible_areas").is_not_null()
    how = pl.when(pl.col("area").is_not_null()).then(PLACED).when(several).then(AMBIGUOUS).otherwise(UNKNOWN)
    found = found.with_columns(how.cast(pl.Int64).alias("how"))
    if areas is None:
        return found
    return _from_map(households, found, collected(areas, "areas", ("rating_area_id",)))


def _canonical(frame: pl.DataFrame, table: str) -> pl.Series:
    """Return rating areas as R-XX999, null where none."""
    import polars as pl

    series = frame["rating_area_id"]
    texts = series.cast(pl.String) if series.dtype.is_integer() else _frames.text_column(frame, table, series.name)
    if "state" in frame.columns:
        states = _frames.text_column(frame, table, "state").str.strip_chars().str.to_uppercase()
        states = states.fill_null(texts.str.extract(r"(?i)^R-?([A-Z]{2})").str.to_uppercase())
    else:
        states = texts.str.extract(r"(?i)^R-?([A-Z]{2})").str.to_uppercase()
    pairs = pl.DataFrame({"text": texts, "state": states})  # without a state a bare number is no area
    known = pairs.unique()  # few: each is taken apart once
    known = known.with_columns(canonical_rating_areas(known["text"], known["state"]).alias("area"))
    return pairs.join(known, on=["text", "state"], how="left", maintain_order="left", nulls_equal=True)["area"]


def _from_map(households: pl.DataFrame, found: pl.DataFrame, areas: pl.DataFrame) -> pl.DataFrame:
    """Return `found` with the areas of rows that have none yet, by the place columns each row fills."""
    import polars as pl

    canonical = _canonical(areas, "areas")
    rule = "RATE-008: an area is a number of its state, never 0"
    refuse_rows("areas", "rating_area_id", canonical.is_null(), rule)
    shared = [c for c in PLACE_COLUMNS if c in areas.columns and c in households.columns]
    if not shared:
        raise InputRefused(
            "households and areas have no place column in common",
            where="households; areas",
            rule="places are matched by state, county_fips and zip_code",
            remedy="add zip_code or county_fips to both",
        )
    places = pl.DataFrame([_frames.text_column(areas, "areas", c).str.strip_chars() for c in shared])
    places = places.with_columns(canonical.alias("_area"))
    homes = pl.DataFrame([_frames.text_column(households, "households", c).str.strip_chars() for c in shared])
    homes = homes.with_columns(found["area"], found["how"], found["possible_areas"]).with_row_index("_at")
    done = [homes.filter(pl.col("how") == PLACED)]
    rest = homes.filter(pl.col("how") != PLACED)
    for size in range(len(shared), 0, -1):
        for chosen in combinations(shared, size):
            fills = pl.all_horizontal(pl.col(c).is_not_null() == (c in chosen) for c in shared)
            # A state alone never says the area, unless it has only one.
            done.append(_matched(rest.filter(fills), places, list(chosen)))
    done.append(rest.filter(pl.all_horizontal(pl.col(c).is_null() for c in shared)))
    return pl.concat(done).sort("_at").select("area", "possible_areas", "how")


def _matched(homes: pl.DataFrame, places: pl.DataFrame, columns: list[str]) -> pl.DataFrame:
    import polars as pl

    by_place = places.group_by(columns).agg(pl.col("_area").unique().sort().alias("_areas"))
    joined = homes.join(by_place, on=columns, how="left", validate="m:1", maintain_order="left")
    several = pl.col("_areas").list.len() > 1
    single = pl.col("_areas").list.len() == 1
    return joined.with_columns(
        area=pl.when(single).then(pl.col("_areas").list.first()),
        possible_areas=pl.when(several).then(pl.col("_areas")),
        how=pl.when(single).then(PLACED).when(several).then(AMBIGUOUS).otherwise(UNKNOWN).cast(pl.Int64),
    ).drop("_areas")
