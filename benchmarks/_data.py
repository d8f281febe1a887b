"""Made-up years of any size for the benchmarks: text frames, with the share of diagnoses that have a crosswalk row.

The draws are plain, because only sizes and shares matter to a clock. As in claims, the ill have most of the rows: 28 of
100 enrollees have 60 of 100 diagnoses and all that map, each from a handful of conditions of their own that come back
over the year. Codes are skewed too. Codes that do not map are well-formed ones outside the crosswalk. Nobody in it exists.
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
UNMAPPED_CODES = 20_000
ILL_SHARE, ILL_SHARE_OF_ROWS = 0.28, 0.6
MOST_CONDITIONS = 8
PLANS = 40
_METALS = ("platinum", "gold", "silver", "bronze", "expanded_bronze", "catastrophic")
_METAL_SHARES = (0.02, 0.10, 0.55, 0.20, 0.11, 0.02)
_SILVER_VARIANTS = ("00", "01", "02", "03", "04", "05", "06")
_EPOCH = datetime.date(1970, 1, 1)
_FIRST_DAY = (datetime.date(BENEFIT_YEAR, 1, 1) - _EPOCH).days


@dataclass(frozen=True)
class Year:
    """The four tables that scoring reads; diagnoses and drugs in no order."""

    enrollees: pl.DataFrame
    spans: pl.DataFrame
    diagnoses: pl.DataFrame
    drugs: pl.DataFrame

    def frames(self) -> tuple[pl.DataFrame, ...]:
        return self.enrollees, self.spans, self.diagnoses, self.drugs


def made_up_year(enrollees: int, *, mapped_share: float, seed: int = 1) -> Year:
    """Return a year of `enrollees` people with ten diagnoses each, of which `mapped_share` are crosswalk codes."""
    draw = np.random.default_rng(seed)
    ids = _ids(np.arange(enrollees))
    birth_year = _birth_years(draw, enrollees)
    births = _new_years_day(birth_year) + draw.integers(0, 365, enrollees)
    start, end = _stretches(draw, births)
    is_ill = draw.random(enrollees) < ILL_SHARE
    owner, ill_row = _owners(draw, is_ill, enrollees * DIAGNOSES_PER_ENROLLEE)
    is_mapped = ill_row & (draw.random(len(owner)) < mapped_share / ILL_SHARE_OF_ROWS)
    drug_owner, _ = _owners(draw, is_ill, enrollees * DRUGS_PER_ENROLLEE)
    return Year(
        enrollees=pl.DataFrame(
            {
                "enrollee_id": ids,
                "birth_date": pl.Series(births.astype(np.int32)).cast(pl.Date),
                "sex": pl.Series(["M", "F"]).gather(draw.integers(0, 2, enrollees).astype(np.uint32)),
            }
        ),
        spans=_spans(draw, start, end),
        diagnoses=_events(draw, owner, start, end, _diagnosis_codes(draw, owner, is_mapped, enrollees)),
        drugs=_events(draw, drug_owner, start, end, _drug_codes(draw, len(drug_owner))),
    )


def _ids(number: np.ndarray) -> pl.Series:
    """Return ids of 16 characters, each row's text written for itself, in order, as if read from a file.

    (A gather from a list of ids would share the list's text: rows then point all over it.)
    """
    text = pl.Series(number + 1).cast(pl.String).str.zfill(12).to_frame("number")
    return text.select(pl.concat_str(pl.lit("SYN-"), "number").alias("enrollee_id"))["enrollee_id"]


def _birth_years(draw: np.random.Generator, enrollees: int) -> np.ndarray:
    """Return years of birth: a few infants, a sixth children, the rest adults to 64."""
    band = draw.choice(3, enrollees, p=(0.015, 0.165, 0.82))
    low, high = np.array([0, 2, 21])[band], np.array([2, 21, 65])[band]
    return BENEFIT_YEAR - (low + draw.random(enrollees) * (high - low)).astype(np.int64)


def _new_years_day(year: np.ndarray) -> np.ndarray:
    first = np.array([(datetime.date(y, 1, 1) - _EPOCH).days for y in range(1900, BENEFIT_YEAR + 1)])
    return first[year - 1900]


def _stretches(draw: np.random.Generator, births: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and last covered day of each enrollee, as days of the year; nobody is covered before birth."""
    number = len(births)
    start = np.where(draw.random(number) < 0.7, 0, draw.integers(0, 300, number))
    start = np.maximum(start, births - _FIRST_DAY)
    end = np.where(draw.random(number) < 0.7, 364, start + draw.integers(27, 365, number)).clip(max=364)
    return start, end


def _spans(draw: np.random.Generator, start: np.ndarray, end: np.ndarray) -> pl.DataFrame:
    """Return a span per enrollee, and a second one, in another variant, for one in twelve."""
    number = len(start)
    metal = draw.choice(len(_METALS), number, p=_METAL_SHARES)
    plan = metal * PLANS + draw.integers(0, PLANS, number)
    again = np.flatnonzero((draw.random(number) < 1 / 12) & (end > start + 60))
    middle = (start[again] + end[again]) // 2
    owner = np.concatenate([np.arange(number), again])
    starts = np.concatenate([start, middle + 1])
    ends = np.concatenate([end, end[again]])
    ends[again] = middle  # the first spans come first
    plan = np.concatenate([plan, plan[again]])
    metal = plan // PLANS
    silver = draw.choice(len(_SILVER_VARIANTS), len(owner), p=(0.02, 0.28, 0.02, 0.02, 0.12, 0.24, 0.30))
    variant = np.where(metal == _METALS.index("silver"), silver, np.where(draw.random(len(owner)) < 0.1, 0, 1))
    names = pl.Series([f"00101NY{i:07d}" for i in range(PLANS * len(_METALS))])
    frame = pl.DataFrame(
        {
            "enrollee_id": _ids(owner),
            "plan_id": names.gather(plan.astype(np.uint32)),
            "csr_variant": pl.Series(_SILVER_VARIANTS).gather(variant.astype(np.uint32)),
            "metal_level": pl.Series(_METALS).gather(metal.astype(np.uint32)),
            "span_start": pl.Series((_FIRST_DAY + starts).astype(np.int32)).cast(pl.Date),
            "span_end": pl.Series((_FIRST_DAY + ends).astype(np.int32)).cast(pl.Date),
            "_owner": owner,
        }
    )
    return frame.sort("_owner", "span_start").drop("_owner")


def _owners(draw: np.random.Generator, is_ill: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return whose each row is, in no order, and whether that one is ill."""
    ill, well = np.flatnonzero(is_ill), np.flatnonzero(~is_ill)
    ill_row = draw.random(rows) < ILL_SHARE_OF_ROWS
    owner = np.where(ill_row, ill[draw.integers(0, len(ill), rows)], well[draw.integers(0, len(well), rows)])
    return owner, ill_row


def _diagnosis_codes(
    draw: np.random.Generator, owner: np.ndarray, is_mapped: np.ndarray, enrollees: int
) -> pl.DataFrame:
    mapped = data_specs.table("hhs_hcc/icd10_to_cc", year=BENEFIT_YEAR)["icd10"].unique().sort()
    letters, digits = "ABCDEFGHIJKLMNOPQRSTVZ", "0123456789"
    made = [f"{a}{b}{c}{d}{e}" for a in letters for b in digits for c in digits for d in digits for e in digits]
    outside = pl.Series(made).filter(~pl.Series(made).is_in(mapped.implode()))
    outside = outside.gather(draw.permutation(len(outside))[:UNMAPPED_CODES].astype(np.uint32))
    mapped = mapped.gather(draw.permutation(len(mapped)).astype(np.uint32))
    names = pl.concat([mapped, outside])
    # A square: the first tenth of the codes takes a third of the rows.
    own = (draw.random((enrollees, MOST_CONDITIONS)) ** 2 * len(mapped)).astype(np.uint32)
    conditions = 1 + (draw.random(enrollees) ** 2 * MOST_CONDITIONS).astype(np.int64)
    condition = (draw.random(len(owner)) * conditions[owner]).astype(np.int64)
    other = len(mapped) + (draw.random(len(owner)) ** 2 * len(outside)).astype(np.uint32)
    code = np.where(is_mapped, own[owner, condition], other).astype(np.uint32)
    return pl.DataFrame({"diagnosis_code": names.gather(code)})


def _drug_codes(draw: np.random.Generator, rows: int) -> pl.DataFrame:
    listed = data_specs.table("hhs_hcc/ndc_to_rxc", year=BENEFIT_YEAR)["ndc11"].unique().sort()
    procedures = data_specs.table("hhs_hcc/hcpcs_to_rxc", year=BENEFIT_YEAR)["hcpcs"].unique().sort()
    outside = pl.Series([f"00000{i:06d}" for i in range(30_000)])
    names = pl.concat([listed, procedures, outside])
    kind = draw.choice(3, rows, p=(0.08, 0.02, 0.90))
    size = np.array([len(listed), len(procedures), len(outside)])[kind]
    place = np.array([0, len(listed), len(listed) + len(procedures)])[kind] + (draw.random(rows) * size)
    kinds = pl.Series(["ndc", "hcpcs", "ndc"]).gather(kind.astype(np.uint32))
    return pl.DataFrame({"code_type": kinds, "code": names.gather(place.astype(np.uint32))})


def _events(
    draw: np.random.Generator, owner: np.ndarray, start: np.ndarray, end: np.ndarray, codes: pl.DataFrame
) -> pl.DataFrame:
    """Return events on covered days of their owners."""
    day = start[owner] + draw.random(len(owner)) * (end - start + 1)[owner]
    return pl.DataFrame(
        [
            _ids(owner),
            *codes.get_columns(),
            pl.Series("service_date", (_FIRST_DAY + day).astype(np.int32)).cast(pl.Date),
        ]
    )
