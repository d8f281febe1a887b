"""Made-up years of any size for the benchmarks: text frames, with the share of diagnoses that have a crosswalk row.

The draws are plain, because only sizes and shares matter to a clock: codes of the crosswalk are drawn with a skew (few
codes make up most of the rows, as in claims), the others are well-formed codes outside it. Nobody in it exists.
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
    ids = _ids(enrollees)
    birth_year = _birth_years(draw, enrollees)
    births = _new_years_day(birth_year) + draw.integers(0, 365, enrollees)
    start, end = _stretches(draw, births)
    rows = enrollees * DIAGNOSES_PER_ENROLLEE
    return Year(
        enrollees=pl.DataFrame(
            {
                "enrollee_id": ids,
                "birth_date": pl.Series(births.astype(np.int32)).cast(pl.Date),
                "sex": pl.Series(["M", "F"]).gather(draw.integers(0, 2, enrollees).astype(np.uint32)),
            }
        ),
        spans=_spans(draw, ids, start, end),
        diagnoses=_events(draw, ids, start, end, _diagnosis_codes(draw, rows, mapped_share)),
        drugs=_events(draw, ids, start, end, _drug_codes(draw, enrollees * DRUGS_PER_ENROLLEE)),
    )


def _ids(enrollees: int) -> pl.Series:
    numbers = pl.int_range(1, enrollees + 1, eager=True).cast(pl.String).str.zfill(12)
    return (pl.Series(["SYN-"]).new_from_index(0, enrollees) + numbers).alias("enrollee_id")


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


def _spans(draw: np.random.Generator, ids: pl.Series, start: np.ndarray, end: np.ndarray) -> pl.DataFrame:
    """Return a span per enrollee, and a second one, in another variant, for one in twelve."""
    number = len(ids)
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
            "enrollee_id": ids.gather(owner.astype(np.uint32)),
            "plan_id": names.gather(plan.astype(np.uint32)),
            "csr_variant": pl.Series(_SILVER_VARIANTS).gather(variant.astype(np.uint32)),
            "metal_level": pl.Series(_METALS).gather(metal.astype(np.uint32)),
            "span_start": pl.Series((_FIRST_DAY + starts).astype(np.int32)).cast(pl.Date),
            "span_end": pl.Series((_FIRST_DAY + ends).astype(np.int32)).cast(pl.Date),
            "_owner": owner,
        }
    )
    return frame.sort("_owner", "span_start").drop("_owner")


def _diagnosis_codes(draw: np.random.Generator, rows: int, mapped_share: float) -> pl.DataFrame:
    mapped = data_specs.table("hhs_hcc/icd10_to_cc", year=BENEFIT_YEAR)["icd10"].unique().sort()
    letters, digits = "ABCDEFGHIJKLMNOPQRSTVZ", "0123456789"
    made = [f"{a}{b}{c}{d}{e}" for a in letters for b in digits for c in digits for d in digits for e in digits]
    outside = pl.Series(made).filter(~pl.Series(made).is_in(mapped.implode()))
    outside = outside.gather(draw.permutation(len(outside))[:UNMAPPED_CODES].astype(np.uint32))
    mapped = mapped.gather(draw.permutation(len(mapped)).astype(np.uint32))
    names = pl.concat([mapped, outside])
    # A square: the first tenth of the codes takes a third of the rows.
    skew = draw.random(rows) ** 2
    is_mapped = draw.random(rows) < mapped_share
    code = np.where(is_mapped, skew * len(mapped), len(mapped) + skew * len(outside)).astype(np.uint32)
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
    draw: np.random.Generator, ids: pl.Series, start: np.ndarray, end: np.ndarray, codes: pl.DataFrame
) -> pl.DataFrame:
    """Return events of people drawn with a skew, on covered days, in no order."""
    rows = codes.height
    owner = (draw.random(rows) ** 1.5 * len(ids)).astype(np.int64)
    owner = (owner * 7_919 + 13) % len(ids)  # the often ill are spread over the ids
    day = start[owner] + draw.random(rows) * (end - start + 1)[owner]
    return pl.DataFrame(
        [
            ids.gather(owner.astype(np.uint32)),
            *codes.get_columns(),
            pl.Series("service_date", (_FIRST_DAY + day).astype(np.int32)).cast(pl.Date),
        ]
    )
