"""The kernel's input made from a year's tables, without the product's own way there: integers only, cheap and plain.

Unlike the product, which sets codes without a crosswalk row aside, it keeps every diagnosis: the rival reads them all.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks._data import Year
from riskadjust._kernel import Enrollees

if TYPE_CHECKING:
    from riskadjust._model import YearModel

_EPOCH = datetime.date(1970, 1, 1).toordinal()


def kernel_arrays(year: Year, model: YearModel) -> Enrollees:
    """Return the arrays of a made-up year, enrollees in order of their ids; events in any order."""
    last = year.spans.group_by("enrollee_id").agg(
        pl.col("span_end").max(), (pl.col("span_end") - pl.col("span_start")).dt.total_days().add(1).sum().alias("days")
    )
    people = year.enrollees.join(last, on="enrollee_id", how="left", maintain_order="left", validate="1:1")
    month, day = people["birth_date"].dt.month().to_numpy(), people["birth_date"].dt.day().to_numpy()
    firsts = np.array([_day(model.benefit_year, m, 1) for m in range(1, 13)])
    birthday = firsts[month - 1] + day - 1  # 29 February runs on into 1 March
    age_before = model.benefit_year - 1 - people["birth_date"].dt.year().to_numpy()
    owner, code, service_day = _events(year, model)
    first = np.searchsorted(owner, np.arange(people.height + 1))
    return Enrollees(
        age_before=age_before.astype(np.int16),
        birthday=birthday.astype(np.int32),
        age_last=(age_before + (people["span_end"].to_physical().to_numpy() >= birthday)).astype(np.int16),
        months=model.days_to_months[people["days"].to_numpy()],
        sex=np.where(people["sex"].to_numpy() == "M", 1, 2).astype(np.uint8),
        diagnosis_first=first[:-1].astype(np.int64),
        diagnosis_last=first[1:].astype(np.int64),
        code_ids=code,
        days=service_day,
        drugs=np.zeros(people.height, np.uint64),
    )


def _day(year: int, month: int, day: int) -> int:
    return datetime.date(year, month, day).toordinal() - _EPOCH


def _events(year: Year, model: YearModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    codes = model.diagnoses.codes.rename({"code": "diagnosis_code"})
    frame = year.diagnoses.join(codes, on="diagnosis_code", how="left", maintain_order="left", validate="m:1")
    owner = frame["enrollee_id"].str.slice(4).cast(pl.Int64).to_numpy() - 1
    order = np.argsort(owner, kind="stable")
    code = frame["code_id"].fill_null(model.diagnoses.unknown).cast(pl.UInt32).to_numpy()[order]
    day = frame["service_date"].to_physical().to_numpy()[order]
    return owner[order], np.ascontiguousarray(code), np.ascontiguousarray(day)
