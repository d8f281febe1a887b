"""Made-up years of any size for the benchmarks: text frames, with the share of diagnoses that have a crosswalk row.

The draws are plain, because only sizes and shares matter to a clock. As in claims, the ill have most of the rows: 28 of
100 enrollees have 60 of 100 diagnoses and all that map, each from a handful of conditions of their own that come back
over the year. Codes are skewed too. Codes that do not map are well-formed ones outside the crosswalk. Nobody in it
exists.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import polars as pl

import data_specs

BENEFIT_YEAR = 2025
DIAGNOSES_PER_ENROLLEE = 10
DRUGS_PER_ENROLLEE = 3
TABLES = ("enrollees", "spans", "diagnoses", "drugs")
_UNMAPPED_CODES = 20_000
_ILL_SHARE, _ILL_SHARE_OF_ROWS = 0.28, 0.6
_MOST_CONDITIONS = 8
_PLANS = 40
_METALS = ("platinum", "gold", "silver", "bronze", "expanded_bronze", "catastrophic")
_METAL_SHARES = (0.02, 0.10, 0.55, 0.20, 0.11, 0.02)
_SILVER_VARIANTS = ("00", "01", "02", "03", "04", "05", "06")
_SILVER_SHARES = (0.02, 0.28, 0.02, 0.02, 0.12, 0.24, 0.30)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTVZ"
_EPOCH = datetime.date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Year:
    """The tables that scoring reads."""

    enrollees: pl.DataFrame
    spans: pl.DataFrame
    diagnoses: pl.DataFrame
    drugs: pl.DataFrame | None = None


@dataclass(frozen=True)
class _People:
    """Arrays of one cell per person; `start` and `end` are the first and last covered day since 1970-01-01."""

    births: np.ndarray
    start: np.ndarray
    end: np.ndarray
    is_ill: np.ndarray


def made_up_year(
    enrollees: int,
    *,
    mapped_share: float,
    benefit_year: int = BENEFIT_YEAR,
    by_enrollee: bool = False,
    with_drugs: bool = False,
    seed: int = 1,
) -> Year:
    """Return a year of people with ten diagnoses each on average.

    Parameters
    ----------
    enrollees : int
        Number of people.
    mapped_share : float
        Share of the diagnoses whose code stands in the crosswalk of the benefit year.
    benefit_year : int
        The year of the spans, dates and codes.
    by_enrollee : bool
        Whether the events stand in order of their enrollees, or in no order.
    with_drugs : bool
        Whether there is a table of drugs, three rows each on average, of which one in ten has a drug category.
    """
    draw = np.random.default_rng(seed)
    people = _people(draw, enrollees, benefit_year)
    owner, ill_row = _owners(draw, people.is_ill, enrollees * DIAGNOSES_PER_ENROLLEE, by_enrollee)
    is_mapped = ill_row & (draw.random(len(owner)) < mapped_share / _ILL_SHARE_OF_ROWS)
    diagnoses = _events(draw, people, owner, _diagnosis_codes(draw, owner, is_mapped, enrollees, benefit_year))
    drugs = None
    if with_drugs:
        owner, _ = _owners(draw, people.is_ill, enrollees * DRUGS_PER_ENROLLEE, by_enrollee)
        drugs = _events(draw, people, owner, _drug_codes(draw, len(owner), benefit_year))
    return Year(
        enrollees=pl.DataFrame(
            {
                "enrollee_id": _ids(np.arange(enrollees)),
                "birth_date": _dates(people.births),
                "sex": pl.Series(["M", "F"]).gather(draw.integers(0, 2, enrollees).astype(np.uint32)),
            }
        ),
        spans=_spans(draw, people),
        diagnoses=diagnoses,
        drugs=drugs,
    )


def _people(draw: np.random.Generator, number: int, benefit_year: int) -> _People:
    """Return a few infants, a sixth children, the rest adults to 64; nobody is covered before birth."""
    new_year = datetime.date(benefit_year, 1, 1).toordinal() - _EPOCH
    last = datetime.date(benefit_year, 12, 31).toordinal() - _EPOCH
    band = draw.choice(3, number, p=(0.015, 0.165, 0.82))
    low, high = np.array([0, 2, 21])[band], np.array([2, 21, 65])[band]
    years_before = (low + draw.random(number) * (high - low)).astype(np.int64)
    new_years = np.array([datetime.date(benefit_year - y, 1, 1).toordinal() - _EPOCH for y in range(66)])
    births = new_years[years_before] + draw.integers(0, 365, number)
    start = np.where(draw.random(number) < 0.7, new_year, new_year + draw.integers(0, 300, number))
    start = np.maximum(start, births)
    end = np.where(draw.random(number) < 0.7, last, start + draw.integers(27, 365, number)).clip(max=last)
    return _People(births, start, end, draw.random(number) < _ILL_SHARE)


def _ids(number: np.ndarray) -> pl.Series:
    """Return ids of 16 characters, each row's text written for itself, in order, as if read from a file.

    (A gather from a list of ids would share the list's text: rows then point all over it.)
    """
    text = pl.Series("number", number + 1).cast(pl.String).str.zfill(12).to_frame()
    return text.select(pl.concat_str(pl.lit("SYN-"), "number").alias("enrollee_id"))["enrollee_id"]


def _dates(days: np.ndarray) -> pl.Series:
    return pl.Series(days.astype(np.int32)).cast(pl.Date)


def _spans(draw: np.random.Generator, people: _People) -> pl.DataFrame:
    """Return a span per enrollee, and a second one, in another variant, for one in twelve of the longer covered."""
    number, start, end = len(people.start), people.start, people.end
    metal = draw.choice(len(_METALS), number, p=_METAL_SHARES)
    plan = metal * _PLANS + draw.integers(0, _PLANS, number)
    again = np.flatnonzero((draw.random(number) < 1 / 12) & (end > start + 60))
    middle = (start[again] + end[again]) // 2
    owner = np.concatenate([np.arange(number), again])
    starts, ends = np.concatenate([start, middle + 1]), np.concatenate([end, end[again]])
    ends[again] = middle  # the first spans come first
    plan = np.concatenate([plan, plan[again]])
    metal = plan // _PLANS
    silver = draw.choice(len(_SILVER_VARIANTS), len(owner), p=_SILVER_SHARES)
    other = (draw.random(len(owner)) < 0.9).astype(np.int64)
    variant = np.where(metal == _METALS.index("silver"), silver, other)
    order = np.lexsort((starts, owner))
    names = pl.Series([f"00101NY{i:07d}" for i in range(_PLANS * len(_METALS))])
    return pl.DataFrame(
        {
            "enrollee_id": _ids(owner[order]),
            "plan_id": names.gather(plan[order].astype(np.uint32)),
            "csr_variant": pl.Series(_SILVER_VARIANTS).gather(variant[order].astype(np.uint32)),
            "metal_level": pl.Series(_METALS).gather(metal[order].astype(np.uint32)),
            "span_start": _dates(starts[order]),
            "span_end": _dates(ends[order]),
        }
    )


def _owners(
    draw: np.random.Generator, is_ill: np.ndarray, rows: int, by_enrollee: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return whose each row is, and whether that one is ill."""
    ill, well = np.flatnonzero(is_ill), np.flatnonzero(~is_ill)
    ill_row = draw.random(rows) < _ILL_SHARE_OF_ROWS
    owner = np.where(ill_row, ill[draw.integers(0, len(ill), rows)], well[draw.integers(0, len(well), rows)])
    if by_enrollee:
        owner.sort()
    return owner, is_ill[owner]


def _diagnosis_codes(
    draw: np.random.Generator, owner: np.ndarray, is_mapped: np.ndarray, enrollees: int, benefit_year: int
) -> pl.DataFrame:
    mapped = data_specs.table("hhs_hcc/icd10_to_cc", year=benefit_year)["icd10"].unique().sort()
    made = pl.Series([letter + f"{number:04d}" for letter in _LETTERS for number in range(10_000)])
    outside = made.filter(~made.is_in(mapped.implode()))
    outside = outside.gather(draw.permutation(len(outside))[:_UNMAPPED_CODES].astype(np.uint32))
    mapped = mapped.gather(draw.permutation(len(mapped)).astype(np.uint32))
    # Squares: the first tenth of the codes takes a third of the rows, and few people have many conditions.
    conditions = 1 + (draw.random(enrollees) ** 2 * _MOST_CONDITIONS).astype(np.int64)
    own = (draw.random((enrollees, _MOST_CONDITIONS)) ** 2 * len(mapped)).astype(np.uint32)
    condition = (draw.random(len(owner)) * conditions[owner]).astype(np.int64)
    other = len(mapped) + (draw.random(len(owner)) ** 2 * len(outside)).astype(np.uint32)
    code = np.where(is_mapped, own[owner, condition], other).astype(np.uint32)
    return pl.DataFrame({"diagnosis_code": pl.concat([mapped, outside]).gather(code)})


def _drug_codes(draw: np.random.Generator, rows: int, benefit_year: int) -> pl.DataFrame:
    listed = data_specs.table("hhs_hcc/ndc_to_rxc", year=benefit_year)["ndc11"].unique().sort()
    procedures = data_specs.table("hhs_hcc/hcpcs_to_rxc", year=benefit_year)["hcpcs"].unique().sort()
    outside = pl.Series([f"00000{i:06d}" for i in range(30_000)])
    kind = draw.choice(3, rows, p=(0.08, 0.02, 0.90))
    sizes = np.array([len(listed), len(procedures), len(outside)])
    begins = np.array([0, len(listed), len(listed) + len(procedures)])
    place = begins[kind] + (draw.random(rows) * sizes[kind]).astype(np.int64)
    kinds = pl.Series(["ndc", "hcpcs", "ndc"]).gather(kind.astype(np.uint32))
    names = pl.concat([listed, procedures, outside])
    return pl.DataFrame({"code_type": kinds, "code": names.gather(place.astype(np.uint32))})


def _events(draw: np.random.Generator, people: _People, owner: np.ndarray, codes: pl.DataFrame) -> pl.DataFrame:
    """Return events on covered days of their owners."""
    covered = people.end - people.start + 1
    day = people.start[owner] + (draw.random(len(owner)) * covered[owner]).astype(np.int64)
    return pl.DataFrame([_ids(owner), *codes.get_columns(), _dates(day).alias("service_date")])
