"""Audits and plan rows of made-up markets as the frames that the validation takes, and as the slow twin takes them."""

import random
from fractions import Fraction
from typing import Any

import polars as pl
import radv_oracle

import data_specs

OLD = ["HCC001", "HCC002", "HCC008", "HCC012", "HCC019", "HCC020", "HCC021", "HCC026", "HCC027", "HCC028", "HCC030"]
OLD += ["HCC035", "HCC054", "HCC055", "HCC088", "HCC118", "HCC130", "HCC142", "HCC160", "HCC161", "HCC187", "HCC253"]
NEW = ["HCC001", "HCC002", "HCC008", "HCC012", "HCC018", "HCC019", "HCC020", "HCC021", "HCC026", "HCC027", "HCC028"]
NEW += ["HCC029", "HCC035_1", "HCC035_2", "HCC054", "HCC055", "HCC088", "HCC118", "HCC131", "HCC132", "HCC142"]
NEW += ["HCC160", "HCC161_1", "HCC161_2", "HCC187", "HCC210", "HCC211", "HCC253"]
POOLS = {"individual": ("bronze", "silver", "gold"), "catastrophic": ("catastrophic",), "small_group": ("silver",)}


def groups_of(year: int) -> dict[str, dict[str, str]]:
    """The coefficient groups of a year as the table has them: model -> HCC -> group."""
    rules = data_specs.table("hhs_hcc/model_variables", year=year).filter(pl.col("kind") == "hcc_group")
    found: dict[str, dict[str, str]] = {}
    for model, hcc, group in rules.select("model", "member", "variable").rows():
        found.setdefault(model, {})[hcc] = group
    return found


def people_of(seed: int, year: int, issuers: int = 30, enrollees: int = 60) -> list[dict[str, Any]]:
    hccs = OLD if year < 2021 else NEW
    infants = ["HCC001", "HCC008", "HCC035_1"] if year >= 2021 else None
    people = radv_oracle.random_audit(seed, issuers, enrollees, hccs, infants=infants)
    if year >= 2021:
        labels = data_specs.table("hhs_hcc/hcc_label", year=year)
        models = ("adult", "child", "infant")
        paid = {model: set(labels.filter(pl.col(f"{model}_payment"))["hcc"].to_list()) for model in models}
        for person in people:
            person["hccs"] = {hcc: of for hcc, of in person["hccs"].items() if hcc in paid[person["model"]]}
    return people


def audit_of(people: list[dict[str, Any]]) -> dict[str, pl.DataFrame]:
    """The frames of an audit; numbers are doubles of the exact decimals."""
    sample = [
        {
            "issuer_id": p["issuer"],
            "enrollee_id": p["enrollee"],
            "stratum": p["stratum"],
            "stratum_weight": float(p["weight"]),
            "risk_score": float(p["score"]),
            "model": p["model"],
        }
        for p in people
    ]
    hccs = [
        {
            "issuer_id": p["issuer"],
            "enrollee_id": p["enrollee"],
            "hcc": hcc,
            "is_submitted": bool(submitted),
            "is_found": bool(found),
            "hcc_score": float(part) if submitted else None,
        }
        for p in people
        for hcc, (submitted, found, part) in p["hccs"].items()
    ]
    return {"sample": pl.DataFrame(sample), "hccs": pl.DataFrame(hccs, schema_overrides={"hcc_score": pl.Float64})}


def rows_of(seed: int, issuers: int = 30, first: int = 10000) -> list[dict[str, Any]]:
    """Exact plan rows of issuers in three risk pools and two areas."""
    draw = random.Random(seed)
    gcf = {area: Fraction(draw.randint(900, 1100), 1000) for area in "12"}
    rows = []
    for issuer in range(first, first + issuers):
        for pool, metals in POOLS.items():
            for number, metal in enumerate(metals):
                for area in "12":
                    thirtieths = draw.randint(40_000, 4_000_000)
                    rows.append(
                        {
                            "state": "GA",
                            "risk_pool": pool,
                            "issuer_id": str(issuer),
                            "plan_id": f"{issuer}GA{pool[:3]}{number:04d}",
                            "rating_area_id": area,
                            "metal_level": metal,
                            "billable_member_months": Fraction(thirtieths, 30),
                            "premium": Fraction(thirtieths * draw.randint(20_000, 90_000) // 30, 100),
                            "plrs": Fraction(draw.randint(500, 2600), 1000),
                            "arf": Fraction(draw.randint(1100, 1900), 1000),
                            "gcf": gcf[area],
                        }
                    )
    return rows


def frame_of(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame([{k: float(v) if isinstance(v, Fraction) else v for k, v in row.items()} for row in rows])


def carriers(
    issuer: str, hcc: str, *, both: int = 0, lost: int = 0, extra: int = 0, **more: Any
) -> list[dict[str, Any]]:
    """People with one HCC each: found, not found, or found only; part 1 of a score of 2."""
    people = []
    for kind, number in (("both", both), ("lost", lost), ("extra", extra)):
        for i in range(number):
            flags = {"is_submitted": kind != "extra", "is_found": kind != "lost"}
            person = {"issuer_id": issuer, "enrollee_id": f"{hcc} {kind} {i}", "stratum": "1", "stratum_weight": 1.0}
            people.append(person | {"risk_score": 2.0, "hcc": hcc, "hcc_score": 1.0, "model": "adult"} | flags | more)
    return people


def audit(*parts: list[dict[str, Any]], **more: Any) -> dict[str, pl.DataFrame]:
    frame = pl.DataFrame([row for part in parts for row in part])
    person = ["issuer_id", "enrollee_id"]
    sample = frame.select(*person, "stratum", "stratum_weight", "risk_score", "model").unique(person)
    return {"sample": sample, "hccs": frame.select(*person, "hcc", "is_submitted", "is_found", "hcc_score")} | more


def statistics(mean: float, deviation: float, groups: tuple[str, ...] = ("low", "medium", "high")) -> pl.DataFrame:
    return pl.DataFrame({"group": groups, "mean_failure_rate": mean, "standard_deviation": deviation})


def plan_rows(*issuers: str, months: float = 12_000.0, pool: str = "individual", plrs: float = 1.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "risk_pool": pool,
            "issuer_id": issuers,
            "plan_id": [f"{i}P" for i in issuers],
            "rating_area_id": "1",
            "metal_level": "silver",
            "billable_member_months": months,
            "premium": months * 400,
            "plrs": plrs,
            "arf": 1.5,
            "gcf": 1.0,
        }
    )
