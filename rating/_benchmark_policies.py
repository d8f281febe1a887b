"""Coverage families as policies: the members who count, by household, place and policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs._policy import RELATIONSHIPS, completed_years
from rating._frame_rows import FrameRows, collected
from rating._places import PLACED, rating_areas_of
from rating._policy_premiums import Covered
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BenchmarkHouseholds", "Place", "benchmark_households", "places_of"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

OLDEST = 120
BAD_AGE, BAD_EFFECTIVE_DATE = "SUB-040", "SUB-041"
_DAYS = 365


@dataclass(frozen=True)
class BenchmarkHouseholds:
    """Households and the policies that cover those of their members who count.

    Attributes
    ----------
    homes : DataFrame
        household_id (sorted, every household of an accepted row), proxy (cents), has_proxy.
    policies : DataFrame
        _home (place in `homes`), area, possible_areas, how, county_fips, zip_code, members; sorted by area, county
        and ZIP.
    covered : Covered
        Their members.
    has_ages : bool
        Whether members have ages; else each household is one reference member.
    """

    homes: pl.DataFrame
    policies: pl.DataFrame
    covered: Covered
    has_ages: bool

    def states(self) -> list[str]:
        """Return the states of the policies' areas, sorted."""
        return sorted(self.policies["area"].drop_nulls().str.slice(2, 2).unique().to_list())


@dataclass(frozen=True, slots=True)
class Place:
    """Policies `first` to `stop` of one place; `plan_ids` are those sold there, None for all of the area."""

    area: str
    first: int
    stop: int
    plan_ids: pl.Series | None
    is_unknown: bool


def benchmark_households(households: Any, areas: Any | None, year: int, findings: Findings) -> BenchmarkHouseholds:
    """Return the policies of the members who count.

    Raises
    ------
    InputRefused
        A column is missing or of another type.
    """
    import polars as pl

    rows = FrameRows(collected(households, "households", ("household_id",)), "households", findings)
    frame = rows.frame
    has_ages = "age" in frame.columns or "birth_date" in frame.columns
    own = [c for c in ("member_id",) if c in frame.columns] if has_ages else []
    optional = [c for c in ("policy",) if c in frame.columns]
    if own or not has_ages:
        rows.key(["household_id", *(own or optional)])
    else:
        rows.broken("SUB-001", frame["household_id"].is_null().to_numpy())
    ages, births = _ages(rows, year) if has_ages else (np.zeros(rows.height, np.int64),) * 2
    counts = rows.flag("seeks_coverage", True) & rows.flag("credit_eligible", True)
    proxy = rows.money("proxy_benchmark_monthly", monthly=True)
    relationship = rows.choice("relationship", RELATIONSHIPS, "unknown")
    rows.broken_with(rows.broken_households())
    at = rows.keep(["household_id", *own])
    places = rating_areas_of(frame, areas)[at]
    ids = frame["household_id"][at]
    is_first = np.append(True, (ids[1:] != ids[:-1]).to_numpy())[: len(at)]
    home = np.cumsum(is_first) - 1
    homes = _homes(ids.filter(pl.Series(is_first)), home, proxy.cents[at], proxy.is_given[at])
    counted = counts[at]
    rows_in, members = at[counted], places.filter(pl.Series(counted))
    members = members.with_columns(
        pl.Series("_home", home[counted]),
        *(_text_or_empty(frame, c)[rows_in].alias(c) for c in ("policy", "county_fips", "zip_code")),
    )
    policies, order, policy = _policies(members)
    covered = Covered(
        policy,
        ages[rows_in][order],
        births[rows_in][order],
        # Members of a household stand in the order of their ids (of the rows, where they have none).
        order,
        relationship[rows_in][order],
    )
    return BenchmarkHouseholds(homes, policies, covered, has_ages)


def _homes(ids: pl.Series, home: Integers, proxy: Integers, has_proxy: Flags) -> pl.DataFrame:
    """Return the households with their first proxy."""
    import polars as pl

    amounts, given = np.zeros(len(ids), np.int64), np.zeros(len(ids), bool)
    rows = np.flatnonzero(has_proxy)[::-1]
    amounts[home[rows]] = proxy[rows]
    given[home[rows]] = True
    return pl.DataFrame([ids.alias("household_id"), pl.Series("proxy", amounts), pl.Series("has_proxy", given)])


def _text_or_empty(frame: pl.DataFrame, column: str) -> pl.Series:
    import polars as pl

    if column not in frame.columns:
        return pl.Series(column, [""] * frame.height, dtype=pl.String)
    return _frames.text_column(frame, "households", column).str.strip_chars().fill_null("")


def _ages(rows: FrameRows, year: int) -> tuple[Integers, Integers]:
    """Return ages in completed years, and birth days (as if on a birthday, where only the age is known)."""
    import polars as pl

    frame = rows.frame
    if "birth_date" not in frame.columns:
        ages = rows.whole("age", 0, OLDEST, rule_id=BAD_AGE)
        return ages, -_DAYS * ages
    first_day = pl.date(year, 1, 1)
    births = _frames.date_column(frame, "households", "birth_date").to_frame("birth")
    effective = pl.Series("on", [None] * births.height, dtype=pl.Date)
    if "effective_date" in frame.columns:
        effective = _frames.date_column(frame, "households", "effective_date").alias("on")
        given = frame["effective_date"].is_not_null()
        outside = (effective.is_null() | (effective.dt.year() != year)) & given
        rows.broken(BAD_EFFECTIVE_DATE, outside.to_numpy())
    days = births.with_columns(effective)
    days = days.select(
        pl.col("birth").fill_null(first_day).cast(pl.Int32).cast(pl.Int64),
        pl.col("on").fill_null(first_day).cast(pl.Int32).cast(pl.Int64),
        is_missing=pl.col("birth").is_null(),
    )
    born, on = days["birth"].to_numpy(), days["on"].to_numpy()
    ages = completed_years(born, on)
    if "age" in frame.columns:
        given_ages = rows.whole("age", 0, OLDEST, rule_id=BAD_AGE, default=0)
        ages = np.where(frame["age"].is_not_null().to_numpy(), given_ages, ages)
        missing = days["is_missing"].to_numpy() & frame["age"].is_null().to_numpy()
    else:
        missing = days["is_missing"].to_numpy()
    rows.broken(BAD_AGE, missing | (ages < 0) | (ages > OLDEST))
    ages = np.clip(ages, 0, OLDEST)
    return ages, np.where(days["is_missing"].to_numpy(), -_DAYS * ages, born)


def _policies(members: pl.DataFrame) -> tuple[pl.DataFrame, Integers, Integers]:
    """Return the policies sorted by place, the order of members by policy, and the policy of each ordered member."""
    import polars as pl

    keys = ["area", "county_fips", "zip_code", "how"]
    known = members.select(keys).unique().sort(keys, nulls_last=True).with_row_index("_place")
    place = members.select(keys).join(known, on=keys, how="left", maintain_order="left", nulls_equal=True)["_place"]
    place_code, home = place.to_numpy().astype(np.int64), members["_home"].to_numpy()
    own = members["policy"].rank("dense").to_numpy().astype(np.int64) if members["policy"].n_unique() > 1 else 0 * home
    if own.any():
        order = np.lexsort((own, home, place_code))
    else:  # members stand by household already; few places sort fast as short numbers
        narrow = place_code.astype(np.int16 if known.height < 2**15 else np.int64)
        order = np.argsort(narrow, kind="stable")
    begins = np.zeros(len(order), bool)
    begins[:1] = True
    for code in (place_code, home, own):
        ordered = code[order]
        begins[1:] |= ordered[1:] != ordered[:-1]
    first = np.flatnonzero(begins)
    policies = members[order[first]].drop("policy")
    sizes = np.diff(np.append(first, len(order)))
    return policies.with_columns(pl.Series("members", sizes)), order, np.cumsum(begins) - 1


def places_of(policies: pl.DataFrame, served: pl.DataFrame | None) -> Iterator[Place]:
    """Yield the places with one rating area, each with its policies and the plans sold there.

    Parameters
    ----------
    policies : DataFrame
        Sorted by area, county and ZIP.
    served : DataFrame or None
        plan_id, county_fips, zip_code (blank: the whole county); None: plans serve the whole area.
    """
    import polars as pl

    keys = ["area"] if served is None else ["area", "county_fips", "zip_code"]
    placed = policies.with_row_index("_at").filter(pl.col("how") == PLACED)
    groups = placed.group_by(keys, maintain_order=True).agg(first=pl.col("_at").min(), number=pl.len())
    if served is None:
        for area, first, number in groups.rows():
            yield Place(area, first, first + number, None, False)
        return
    sold = _sold_in(served)
    by_zip = sold.filter(pl.col("zip_code") != "")["county_fips"].unique().implode()
    needs_zip = groups.select((pl.col("county_fips").is_in(by_zip) & (pl.col("zip_code") == "")).alias("needs"))[
        "needs"
    ]
    plans_by_county = {county: group.select("plan_id", "zip_code") for (county,), group in sold.group_by("county_fips")}
    for (area, county, zip_code, first, number), lacks_zip in zip(groups.rows(), needs_zip.to_list(), strict=True):
        plans = plans_by_county.get(county, sold.clear().select("plan_id", "zip_code"))
        here = plans.filter((pl.col("zip_code") == "") | (pl.col("zip_code") == zip_code))["plan_id"]
        yield Place(area, first, first + number, here, county == "" or lacks_zip)


def _sold_in(served: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    columns = [_frames.text_column(served, "service_areas", c).str.strip_chars() for c in ("plan_id", "county_fips")]
    zips = pl.Series("zip_code", [""] * served.height, dtype=pl.String)
    if "zip_code" in served.columns:
        zips = _frames.text_column(served, "service_areas", "zip_code").str.strip_chars().fill_null("")
    return pl.DataFrame([*columns, zips.alias("zip_code")])
