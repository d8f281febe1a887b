"""Transfers and the high-cost risk pool against results worked without this code; see cases/transfers/README.md."""

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from cases.transfers import reading

from riskadjust import Transfers, high_cost_risk_pool, transfers

BY_PLAN = {"transfer_pmpm": "transfer_pmpm", "plan_transfer": "transfer", "plan_user_fee": "user_fee"}
BY_ISSUER = {"issuer_transfer": "transfer"} | {
    c: c
    for c in ("default_charge", "default_charge_share", "transfer_and_share", "user_fee", "withheld", "payable_now")
}


def settled(case: dict[str, Any], rows: pl.DataFrame | None = None) -> Transfers:
    return transfers(
        reading.frame(reading.plan_rows(case)) if rows is None else rows,
        benefit_year=case["benefit_year"],
        settings=case["settings"],
        radv_error_rates=case.get("error_rates"),
        default_charges=reading.charges_frame(case),
    )


def amount(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def check_amounts(found: pl.DataFrame, key: str, column: str, expected: dict[str, str]) -> None:
    values = dict(found.select(key, column).rows())
    if column == "transfer_pmpm":
        assert values == {k: pytest.approx(float(v), abs=6e-11, rel=1e-12) for k, v in expected.items()}
        return
    assert values == {k: amount(v) for k, v in expected.items()}
    assert found.schema[column] == pl.Decimal(18, 2)


@pytest.mark.parametrize("case", reading.transfer_cases(), ids=lambda case: case["id"])
def test_transfer_case(case):
    result = settled(case)
    for name, column in BY_PLAN.items():
        if name in case:
            check_amounts(result.plans, "plan_id", column, case[name])
    for name, column in BY_ISSUER.items():
        if name in case:
            check_amounts(result.issuers, "issuer_id", column, case[name])
    for column, text in case.get("pool", {}).items():
        assert result.pools[column].to_list() == [pytest.approx(float(text), rel=1e-11)]
    if "residual" in case:
        assert result.pools["residual"].to_list() == [Decimal(case["residual"])]
    if "findings" in case:
        assert dict(result.findings.select("rule_id", "rows").rows()) == case["findings"]
        assert result.findings["condition"].null_count() == 0
    assert result.zero_month_plans["plan_id"].to_list() == case.get("zero_months", [])
    size = result.plans["transfer_unrounded"].abs().sum()
    assert abs(result.plans["transfer_unrounded"].sum()) <= 1e-12 * size


@pytest.mark.slow
@pytest.mark.parametrize("case", reading.transfer_cases(), ids=lambda case: case["id"])
def test_transfer_case_in_other_number_types(case):
    """Amounts as Decimal or whole numbers, lazy, and in another order, give the same bytes."""
    rows = reading.frame(reading.plan_rows(case))
    as_decimal = rows.with_columns(pl.col("premium").cast(pl.Decimal(18, 2))).reverse()
    expected = settled(case)
    found = settled(case, as_decimal.lazy())
    assert found.issuers.equals(expected.issuers)
    assert found.plans.drop("premium").equals(expected.plans.drop("premium"))
    if all("." not in row["premium"] for row in reading.plan_rows(case)):
        whole = settled(case, rows.with_columns(pl.col("premium").cast(pl.Int64)))
        assert whole.issuers.equals(expected.issuers)


def test_cases_are_complete():
    """Each case of the imported file is there, and no two share an id."""
    ids = [case["id"] for case in [*reading.transfer_cases(), *reading.high_cost_cases()]]
    assert {"T01", "T02", "T04", "T07", "T12", "H01", "H02"} <= set(ids)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("case", reading.high_cost_cases(), ids=lambda case: case["id"])
def test_high_cost_case(case):
    claims, premiums = reading.claims_frame(case), reading.premiums_frame(case)
    settings = case["settings"]
    result = high_cost_risk_pool(claims, premiums, benefit_year=case["benefit_year"], settings=settings)
    found = result.issuers.select("issuer_id", "high_cost_risk_pool", "payment", "charge", "net").rows()
    expected = [(*row[:2], *map(Decimal, row[2:])) for row in case["issuers"]]
    assert found == expected
    pools = [(name, Decimal(paid), float(rate)) for name, paid, rate in case["pools"]]
    assert result.pools.select("high_cost_risk_pool", "payment", "charge_rate").rows() == pools
    again = high_cost_risk_pool(
        claims.reverse().lazy(), premiums.reverse(), benefit_year=case["benefit_year"], settings=settings
    )
    assert again.issuers.equals(result.issuers)
    assert again.enrollees.equals(result.enrollees)
