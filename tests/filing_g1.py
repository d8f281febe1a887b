"""The constructed filing G1 (tests/cases/filing) as the arguments of `rating.filing.develop`."""

import csv
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import polars as pl

from rating.filing import develop

FOLDER = Path(__file__).parent / "cases" / "filing"
# G1's state is made up: it rates by the federal curve of 2018, as Texas does.
SETTINGS = {"rules_of_state": "TX"}
_TEXTS = {"plan_id", "product_id", "network_id", "on_exchange", "metal_level", "plan_category"}
_NOT_OF_THE_CHAIN = ("taxes_fees_", "latest_transfer_pmpm", "on_exchange_premium_share")


def rows(name):
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def assumptions():
    """Quantities of the market by name, as text."""
    found = {row["field"]: row["value"] for row in rows("g1_assumptions") if row["field"] != "title"}
    found |= {
        row["field"]: row["value"]
        for row in rows("g1_header_and_plan_totals")
        if not row["plan_id"] and row["field"].startswith("exp_") and row["field"].endswith("_total")
    }
    return found


def header():
    """Whose filing it is, and its dates."""
    of_filing = {r["field"]: r["value"] for r in rows("g1_header_and_plan_totals") if not r["plan_id"]}
    return {name: value for name, value in of_filing.items() if not name.startswith(("exp_a", *_NOT_OF_THE_CHAIN))
            and not name.endswith("_total")}  # fmt: skip


def plans():
    """Worksheet 2: factors and projections, experience totals, and what only the review looks at."""
    frame = pl.DataFrame(rows("g1_plans")).drop("case_id")
    frame = frame.with_columns(pl.when(pl.all().str.len_bytes() > 0).then(pl.all()))
    further = {}
    for row in rows("g1_header_and_plan_totals"):
        if row["plan_id"]:
            further.setdefault(row["plan_id"], {"plan_id": row["plan_id"]})[row["field"]] = row["value"]
    return frame.join(pl.DataFrame(list(further.values())), on="plan_id", how="left", maintain_order="left")


def mix():
    return pl.DataFrame(rows("g1_mix")).drop("case_id")


def areas():
    of_area = [row for row in rows("g1_mix") if row["kind"] == "area"]
    return pl.DataFrame(
        {"rating_area_id": [r["level"] for r in of_area], "area_factor": [r["factor"] for r in of_area]}
    )


def arguments(**changes):
    """Keyword arguments of `develop`; `changes` replace some of them."""
    known = {
        "experience": None,
        "assumptions": assumptions(),
        "plans": plans(),
        "plan_year": 2027,
        "state": "XX",
        "market": "individual",
        "issuer_id": "12345",
        "areas": areas(),
        "mix": mix(),
        "header": header(),
    }
    settings = {**SETTINGS, **changes.pop("settings", {})}
    return {**known, **changes, "settings": settings}


def g1(**changes):
    """The filing G1, with some arguments replaced; settings are added to its own."""
    given = arguments(**changes)
    return develop(given.pop("experience"), given.pop("assumptions"), given.pop("plans"), **given)


@lru_cache(maxsize=2)
def usual(user_fee_convention="gross_up"):
    """G1 as it is, made once for all tests."""
    return g1(settings={"user_fee_convention": user_fee_convention})


def expected():
    """(name, plan, fee convention or "", value) of every quantity."""
    return [(r["quantity"], r["plan_id"], r["fee_convention"], Decimal(r["value"])) for r in rows("g1_expected")]


def expected_rates():
    """(plan, area, age, tobacco Y or N) -> rate."""
    return {
        (r["plan_id"], r["rating_area_id"], int(r["age"]), r["tobacco_user"]): Decimal(r["monthly_rate"])
        for r in rows("g1_expected_rates")
    }
