"""The data validation: every step worked by hand, markets of thirty issuers against the plain twin, and refusals."""

import itertools
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl
import pytest
import radv_markets as markets
import radv_oracle as oracle
from radv_markets import audit, carriers, plan_rows, statistics

from data_specs.errors import InputRefused, SettingRefused
from riskadjust import RadvAdjustment, radv_adjustment, transfers
from riskadjust._radv_confidence import _factors
from riskadjust._radv_groups import rank_groups
from riskadjust._radv_rates import Nation, OutlierRule
from riskadjust._radv_settings import RadvTerms

YEARS = (2017, 2018, 2019, 2020, 2021, 2023)
ERAS = (2018, 2021)  # what the default run sees: the static edge; the slide with all that came to it


def one_hcc(year: int, mean: float, deviation: float, *, settings: Any = None, **counts: int) -> dict[str, Any]:
    """The one group of an issuer whose people have one HCC: it lies in the middle of its own list."""
    national = {"statistics": statistics(mean, deviation)}
    found = radv_adjustment(
        audit(carriers("11111", "HCC008", **counts)), benefit_year=year, national=national, settings=settings
    )
    row = found.groups.filter(pl.col("submitted_hccs") > 0).row(0, named=True)
    return row | {"error_rate": found.issuers["error_rate"][0], "rules": rules(found)}


def rules(found: RadvAdjustment) -> dict[str, int]:
    return dict(found.findings.select("rule_id", "rows").rows())


# ------------------------------------------------------------------------------------------------ groups of HCCs


def test_three_groups_by_the_middle_of_each_count():
    """Counts 30, 30, 20, 20 of 100 at rates 0.1, 0.2, 0.3, 0.4: middles 15, 45, 70, 90; thirds at 33.3 and 66.7."""
    submitted, found = [20, 30, 20, 30], [12, 27, 14, 24]
    order, group_of = rank_groups(submitted, found, 3, "midpoint")
    assert order == [1, 3, 2, 0]
    assert group_of == {1: 0, 3: 1, 2: 2, 0: 2}
    # Starts 0, 30, 60, 80; ends 30, 60, 80, 100.
    assert rank_groups(submitted, found, 3, "start")[1] == {1: 0, 3: 0, 2: 1, 0: 2}
    assert rank_groups(submitted, found, 3, "end")[1] == {1: 0, 3: 1, 2: 2, 0: 2}
    assert rank_groups([40, 40, 20], [40, 39, 10], 3, "end")[1] == {0: 1, 1: 2, 2: 2}


def test_a_point_on_a_boundary():
    """Counts 2 and 1 of 3: the middle of the first is 1, a third; the end of the first is 2, two thirds."""
    assert rank_groups([2, 1], [2, 0], 3, "midpoint")[1] == {0: 1, 1: 2}
    assert rank_groups([2, 1], [2, 0], 3, "end")[1] == {0: 1, 1: 2}
    assert rank_groups([1, 2], [1, 0], 3, "start")[1] == {0: 0, 1: 1}


def test_ties_go_by_number_and_what_was_never_submitted_has_no_rate():
    order, group_of = rank_groups([5, 0, 5, 5], [4, 3, 4, 4], 3, "midpoint")
    assert order == [0, 2, 3]
    assert group_of == {0: 0, 2: 1, 3: 2}
    people = [carriers("11111", h, both=4, lost=1) for h in ("HCC130", "HCC008", "HCC054")]
    found = radv_adjustment(audit(*people, carriers("11111", "HCC001", extra=2)), benefit_year=2018)
    assert found.hccs.select("rank", "hcc", "group").rows() == [
        (1, "HCC008", "low"),
        (2, "HCC054", "medium"),
        (3, "HCC130", "high"),
        (None, "HCC001", None),
    ]
    assert rules(found)["RDV-046"] == 1
    assert found.groups["found_hccs"].sum() == 12


def test_super_hccs_by_era():
    """HCC019 and HCC021 share a coefficient group: apart in 2018; one unit, counts added, in 2019; by model in 2021."""
    parts = [carriers("11111", "HCC019", both=40, lost=10), carriers("11111", "HCC021", both=30, lost=20)]
    parts.append(carriers("11111", "HCC021", both=5, model="child", stratum="2"))
    parts[2] = [p | {"enrollee_id": p["enrollee_id"] + " child"} for p in parts[2]]

    def units(year: int, **settings: str) -> list[tuple[Any, ...]]:
        found = radv_adjustment(audit(*parts), benefit_year=year, settings=settings)
        return found.hccs.select("hcc", "model", "members", "submitted_hccs", "found_hccs").rows()

    trio = "HCC019 HCC020 HCC021"
    apart = [("HCC019", None, "HCC019", 50, 40), ("HCC021", None, "HCC021", 55, 35)]
    assert units(2018) == apart
    assert units(2019) == [("G01", None, trio, 105, 75)]
    assert units(2019, super_hcc="none") == apart
    assert units(2021) == [("G01", "child", trio, 5, 5), ("G01", "adult", trio, 100, 70)]
    assert units(2021, super_hcc_models="identical_joined") == [("G01", "adult_child", trio, 105, 75)]
    assert units(2021, super_hcc="sorting") == [("G01", None, trio, 105, 75)]


def test_before_2021_the_groups_are_those_of_the_adult_model():
    """HCC028 shares a coefficient with HCC027 in the child model of 2019, and not in the adult model."""
    children = carriers("11111", "HCC027", both=9, model="child"), carriers("11111", "HCC028", both=9, model="child")
    found = radv_adjustment(audit(*children), benefit_year=2019)
    assert found.hccs["members"].to_list() == ["HCC026 HCC027 HCC029 HCC030", "HCC028"]


def test_an_enrollee_counts_once_for_a_super_hcc():
    """HCC019 found and HCC021 not, of the same three people: from 2021 the unit was submitted and found three times."""
    swapped = [p | {"hcc": "HCC021", "is_found": False} for p in carriers("11111", "HCC019", both=3)]
    people = audit(carriers("11111", "HCC019", both=3), swapped, carriers("11111", "HCC008", both=40, lost=10))

    def unit(year: int, **settings: str) -> tuple[int, int]:
        found = radv_adjustment(people, benefit_year=year, settings=settings)
        return found.hccs.filter(pl.col("hcc") == "G01").select("submitted_hccs", "found_hccs").row(0)

    assert unit(2021) == (3, 3)
    assert unit(2021, super_hcc_counting="sum") == (6, 3)
    assert unit(2019) == (6, 3)


def test_infants_and_models_apart():
    parts = [carriers("11111", "HCC008", both=9, lost=1), carriers("11111", "HCC001", both=9, lost=1, model="infant")]
    found = radv_adjustment(audit(*parts), benefit_year=2021)
    assert found.hccs.select("hcc", "model").rows() == [("HCC001", "infant"), ("HCC008", "adult")]


# ------------------------------------------------------------------------------------------------ rates and outliers


def test_mean_and_deviation_of_the_issuers_at_hand():
    """Rates 0.1 and 0.4 on 60 and 30: m = (6 + 12) / 90 = 0.2; s^2 = (60 x 0.01 + 30 x 0.04) / 90 = 0.02."""
    found = radv_adjustment(
        audit(carriers("11111", "HCC008", both=54, lost=6), carriers("22222", "HCC008", both=18, lost=12)),
        benefit_year=2018,
    )
    row = found.national.row(1, named=True)
    assert (row["group"], row["hccs"], row["issuers"], row["submitted_hccs"], row["found_hccs"]) == (
        "medium",
        1,
        2,
        90,
        72,
    )
    assert row["mean_failure_rate"] == 0.2
    assert row["standard_deviation"] == float(Fraction(2, 100)) ** 0.5
    assert row["source"] == "issuers at hand"
    assert found.national["mean_failure_rate"].to_list() == [None, 0.2, None]
    assert rules(found)["RDV-040"] == 1


@pytest.mark.parametrize(
    ("lost", "deviation", "outlier", "factor"),
    [
        (25, 0.1, True, 0.2),  # |0.25 - 0.05| = 2 s
        (25, 0.1021, False, 0.0),  # just within 1.96 s
        (5, 0.1, False, 0.0),  # at the mean
        (0, 0.02, True, -0.05),  # 2.5 s below
    ],
)
def test_static_outliers(lost, deviation, outlier, factor):
    row = one_hcc(2018, 0.05, deviation, both=100 - lost, lost=lost)
    assert (row["is_outlier"], row["group_adjustment"]) == (outlier, factor)
    assert row["error_rate"] == pytest.approx(factor)  # one HCC: the whole of h


def test_the_static_edge_itself_is_no_outlier():
    """x - m = 0.196 = 1.96 x 0.1 exactly; a thousandth less of s makes it one."""
    at = one_hcc(2017, 0.054, 0.1, both=75, lost=25)
    assert (at["failure_rate"], at["is_outlier"]) == (0.25, False)
    assert one_hcc(2017, 0.054, 0.0999, both=75, lost=25)["group_adjustment"] == 0.196


def test_one_hcc_is_enough_before_2019_and_thirty_after():
    assert one_hcc(2018, 0.05, 0.1, lost=1)["is_outlier"]
    few = one_hcc(2019, 0.05, 0.1, lost=29)
    assert (few["is_outlier"], few["group_adjustment"], few["rules"]["RDV-038"]) == (False, 0.0, 1)
    assert few["deviation"] == pytest.approx(9.5)
    enough = one_hcc(2019, 0.05, 0.1, lost=30)
    assert (enough["is_outlier"], enough["group_adjustment"]) == (True, 0.95)
    # It stays in the mean: 30 of 30 and 0 of 10.
    found = radv_adjustment(
        audit(carriers("11111", "HCC008", both=30), carriers("22222", "HCC008", lost=10)), benefit_year=2019
    )
    assert found.national["mean_failure_rate"][1] == 0.25


@pytest.mark.parametrize(
    ("lost", "factor"),
    [
        (1645, 0.0),  # z = 1.645: the inner edge
        (2000, Fraction(3, 1355) * 355 * Fraction(1, 10)),  # 3 / 1.355 x 0.355 x s
        (2999, Fraction(3, 1355) * 1354 * Fraction(1, 10)),
        (3000, Fraction(3, 10)),  # z = 3
        (5000, Fraction(5, 10)),
    ],
)
def test_the_slide(lost, factor):
    rule = OutlierRule.of(RadvTerms(None, 2019))
    nation = Nation(Fraction(0), Fraction(1, 10), Fraction(1, 100), True)
    for sign in (1, -1):
        rate = rule.adjust(sign * Fraction(lost, 10_000), 10_000, nation)
        used = factor if sign > 0 else -factor
        free = OutlierRule(rule.inner, rule.outer, rule.least, "none", True)
        assert free.adjust(sign * Fraction(lost, 10_000), 10_000, nation).adjustment == used
        assert rate.is_outlier == (factor != 0)


@pytest.mark.slow
def test_rates_below_zero():
    """40 submitted, 48 found: x = -0.2; m = 0.1, s = 0.05: z = -6. Of rate 0, z = -2: A = -3 / 1.355 x 0.355 x 0.05."""
    slid = -3 / 1.355 * 0.355 * 0.05
    in_2018 = one_hcc(2018, 0.1, 0.05, both=40, extra=8)
    assert (in_2018["failure_rate"], in_2018["constrained_failure_rate"]) == (-0.2, -0.2)
    assert in_2018["group_adjustment"] == pytest.approx(-0.3)
    for year in (2019, 2020, 2021, 2023):
        row = one_hcc(year, 0.1, 0.05, both=40, extra=8)
        assert (row["constrained_failure_rate"], row["rules"]["RDV-037"]) == (0.0, 1)
        assert row["group_adjustment"] == pytest.approx(slid)
        assert row["deviation"] == pytest.approx(-6)  # as found
    after = one_hcc(2019, 0.1, 0.05, both=40, extra=8, settings={"constraint_order": "after_slide"})
    assert after["group_adjustment"] == -0.1  # beyond 3 s the slide takes nothing off
    free = one_hcc(2019, 0.1, 0.05, both=40, extra=8, settings={"negative_rate_constraint": "none"})
    assert free["group_adjustment"] == pytest.approx(-0.3)
    # z = -2.5 as found: the slide leaves 3 / 1.355 x 0.855 / 2.5 of the distance, which is 0.05 from rate 0.
    part = one_hcc(2019, 0.05, 0.08, both=40, extra=6, settings={"constraint_order": "after_slide"})
    assert part["group_adjustment"] == pytest.approx(-0.05 * 3 / 1.355 * 0.855 / 2.5)
    inside = one_hcc(2019, 0.05, 0.08, both=40, extra=6)
    assert (inside["is_outlier"], inside["group_adjustment"]) == (True, 0.0)  # 0 is within 1.645 s of 0.05


def test_a_rate_below_zero_and_above_the_mean():
    """x = -0.1, m = -0.5, s = 0.1: a positive outlier. 2019 leaves it, 2021 takes it as 0."""
    assert one_hcc(2019, -0.5, 0.1, both=40, extra=4)["group_adjustment"] == pytest.approx(0.4)
    row = one_hcc(2021, -0.5, 0.1, both=40, extra=4)
    assert (row["constrained_failure_rate"], row["group_adjustment"]) == (0.0, 0.5)
    wide = one_hcc(2019, -0.5, 0.1, both=40, extra=4, settings={"negative_rate_constraint": "any_outlier"})
    assert wide["group_adjustment"] == 0.5


def test_nothing_submitted_in_a_group():
    """HCC008 fails least, HCC054 most. The second issuer submits none of HCC054, and one is found."""
    found = radv_adjustment(
        audit(
            carriers("11111", "HCC008", both=9),
            carriers("11111", "HCC054", both=2, lost=8),
            carriers("22222", "HCC008", both=8, lost=1),
            carriers("22222", "HCC054", extra=1),
        ),
        benefit_year=2018,
    )
    assert found.hccs["group"].to_list() == ["low", "high"]
    row = found.groups.filter(issuer_id="22222", group="high").row(0, named=True)
    assert (row["submitted_hccs"], row["found_hccs"], row["failure_rate"], row["group_adjustment"]) == (0, 1, None, 0.0)
    assert found.national["mean_failure_rate"][2] == pytest.approx(1 - 3 / 10)
    assert rules(found)["RDV-047"] == 1


# ------------------------------------------------------------------------------------------------ scores, error rates


def test_adjusted_scores_and_error_rate():
    """Groups low (0 lost), high (all lost); m = 0.2, s = 0.1 in both: A = -0.2 and 0.8.

    Person 1: parts 1 and 3 of a score of 5: adj = (-0.2 + 2.4) / 4 = 0.55, S' = 2.25. Person 2: no HCC. Person 3: low
    alone, S' = 2.4. Weights 1, 2, 3: 1 - (2.25 + 2 x 1 + 3 x 2.4) / (5 + 2 + 6) = 1.55 / 13.
    """
    sample = pl.DataFrame(
        {
            "issuer_id": "11111",
            "enrollee_id": ["1", "2", "3"],
            "stratum": ["a", "b", "c"],
            "stratum_weight": [1.0, 2.0, 3.0],
            "risk_score": [5.0, 1.0, 2.0],
        }
    )
    hccs = pl.DataFrame(
        {
            "issuer_id": "11111",
            "enrollee_id": ["1", "1", "3"],
            "hcc": ["8", "054", "HCC008"],
            "is_submitted": True,
            "is_found": [True, False, True],
            "hcc_score": [1.0, 3.0, 0.5],
        }
    )
    national = {
        "statistics": statistics(0.2, 0.1),
        "groups": pl.DataFrame({"hcc": ["HCC008", "HCC054"], "group": ["low", "high"]}),
    }
    found = radv_adjustment({"sample": sample, "hccs": hccs}, benefit_year=2018, national=national)
    assert found.enrollees["hcc_score"].to_list() == [4.0, 0.0, 0.5]
    assert found.enrollees["adjustment"].to_list() == [0.55, 0.0, -0.2]
    assert found.enrollees["adjusted_risk_score"].to_list() == [2.25, 1.0, 2.4]
    assert found.issuers["error_rate"].to_list() == [float(Fraction("1.55") / 13)]
    twice = radv_adjustment(
        {"sample": sample, "hccs": hccs},
        benefit_year=2018,
        national=national,
        settings={"error_rate_scaling_factor": "0.5"},
    )
    assert twice.issuers["error_rate"].to_list() == [float(Fraction("1.55") / 26)]
    assert "error_rate_scaling_factor" in twice.settings.filter(source="given")["setting"].to_list()


def test_parts_of_nothing_and_parts_above_the_score():
    people = carriers("11111", "HCC008", lost=2)
    people[0] |= {"hcc_score": 0.0}
    people[1] |= {"hcc_score": 2.5}
    found = radv_adjustment(
        audit(people, carriers("11111", "HCC008", both=8)),
        benefit_year=2018,
        national={"statistics": statistics(0.0, 0.01)},
    )
    assert {r: n for r, n in rules(found).items() if r in ("RDV-031", "RDV-032")} == {"RDV-031": 1, "RDV-032": 1}
    assert found.enrollees.filter(pl.col("adjustment") == 0).height == 1
    assert found.issuers["error_rate"].to_list() == [0.18]  # 0.2 of nine people of ten, score 2 each


# ------------------------------------------------------------------------------------------------ transfers


# Group medium of one HCC: a rate of 0.2 at m = 0 and s = 0.05 is an outlier of every era, A = 0.2; of -0.2, too.
HIGH, LOW = {"both": 32, "lost": 8}, {"both": 40, "extra": 8}
NONE = {"statistics": statistics(0.0, 0.05)}


def moved(year: int, **more: Any) -> RadvAdjustment:
    people = audit(carriers("11111", "HCC008", **HIGH), carriers("22222", "HCC008", both=40))
    return radv_adjustment(people, **{"benefit_year": year, "national": NONE} | more)


def test_the_market_is_settled_again():
    """PLRS 1 and 1, e = 0.2: Lbar = 0.9; T = (1 / 0.9 - 1) x 400 x 0.86 x 12,000 of the second issuer; 2019 from 2018.

    The error rate is 8 of 40 people x A = 0.2 ... of every HCC: each sampled person has adj = 0.2.
    """
    found = moved(2018, plan_rows=plan_rows("11111", "22222"))
    assert found.issuers["error_rate"].to_list() == [0.2, 0.0]
    assert found.transfer_year == 2019
    assert [str(x) for x in found.transfers["transfer_before"]] == ["0.00", "0.00"]
    assert [str(x) for x in found.transfers["adjustment"]] == ["-458666.67", "458666.67"]
    assert [str(x) for x in found.issuers["adjustment"]] == ["-458666.67", "458666.67"]
    assert [str(x) for x in found.pools.row(0)[2:]] == ["458666.67", "0.00"]
    assert found.after.plans["plrs_adjusted"].to_list() == [0.8, 1.0]
    assert found.after.benefit_year == 2019


def test_a_low_outlier_is_adjusted_upward():
    """x = -0.2 in 2018: the error rate is -0.2, PLRS rises to 1.2."""
    people = audit(carriers("11111", "HCC008", **LOW), carriers("22222", "HCC008", both=40))
    people["sample"] = people["sample"].filter(~pl.col("enrollee_id").str.contains("extra"))
    people["hccs"] = people["hccs"].filter(~pl.col("enrollee_id").str.contains("extra"))
    found = radv_adjustment(
        people, benefit_year=2018, national={"statistics": statistics(0.2, 0.05)}, plan_rows=plan_rows("11111", "22222")
    )
    assert found.issuers["error_rate"].to_list() == [-0.2, -0.2]
    assert [str(x) for x in found.transfers["adjustment"]] == ["0.00", "0.00"]  # all rise alike
    assert found.after.plans["plrs_adjusted"].to_list() == [1.2, 1.2]


@pytest.mark.parametrize(
    ("year", "moves"),
    [(2017, 2018), (2018, 2019), (2019, 2020), (2020, 2020), (2021, 2021), (2023, 2023), (2026, 2026)],
)
def test_which_year_is_moved(year, moves):
    assert moved(year).transfer_year == moves
    assert moved(year, settings={"results_applied_to": "same_year"}).transfer_year == year
    assert moved(year, settings={"results_applied_to": "following_year"}).transfer_year == year + 1


def test_two_years_are_averaged():
    rows = plan_rows("11111", "22222", "33333")
    other = {"11111": "0.1", "33333": "-0.3"}
    found = moved(2020, plan_rows=rows, averaged_with=other)
    assert found.issuers["other_year_error_rate"].to_list() == [0.1, None, -0.3]
    assert found.issuers["applied_error_rate"].to_list() == [0.15, 0.0, -0.3]
    assert rules(found)["RDV-044"] == 2
    assert "RDV-043" not in rules(found)
    assert found.after.plans["plrs_adjusted"].to_list() == [0.85, 1.0, 1.3]
    zero = moved(2020, averaged_with=other, settings={"average_of_years": "zero_where_none"})
    assert zero.issuers["applied_error_rate"].to_list() == [0.15, 0.0, -0.15]
    earlier = moved(2019)
    assert rules(earlier)["RDV-043"] == 1
    both = moved(2020, averaged_with=earlier)
    assert both.issuers["applied_error_rate"].to_list() == [0.2, 0.0]
    as_frame = pl.DataFrame({"issuer_id": ["11111", "33333"], "error_rate": [0.1, -0.3]})
    again = moved(2020, plan_rows=rows, averaged_with=as_frame.lazy())
    assert again.transfers.equals(found.transfers)
    with pytest.raises(SettingRefused, match="not averaged"):
        moved(2021, averaged_with=other)
    with pytest.raises(SettingRefused, match="of 2020"):
        moved(2020, averaged_with=moved(2020))
    for bad in ({"11111": 2}, {"": 0.1}, {11111: 0.1}, as_frame.with_columns(error_rate=pl.lit(float("nan")))):
        with pytest.raises(InputRefused, match="RDV-019"):
            moved(2020, averaged_with=bad)


def test_exiting_issuers_only_pay():
    issuers = pl.DataFrame({"issuer_id": ["11111", "22222"], "is_exiting": [True, True]})
    people = audit(carriers("11111", "HCC008", **HIGH), carriers("22222", "HCC008", both=40), issuers=issuers)
    found = radv_adjustment(people, benefit_year=2018, national={"statistics": statistics(0.1, 0.04)})
    assert found.issuers["error_rate"].to_list() == pytest.approx([0.1, -0.1])
    assert found.issuers["applied_error_rate"].to_list() == pytest.approx([0.1, 0.0])
    assert rules(found)["RDV-039"] == 1


def test_exempt_issuers_take_no_part():
    """500 months are exempt, 501 are not; an issuer alone in its pools is exempt, too."""
    people = [carriers(i, "HCC008", **HIGH) for i in ("11111", "22222", "33333")]
    large, other = plan_rows("11111", "44444", months=48_000.0), plan_rows("22222", pool="other")
    rows = pl.concat([large, other, plan_rows("33333", months=500.0)])
    found = radv_adjustment(audit(*people), benefit_year=2021, plan_rows=rows)
    assert found.issuers["status"].to_list() == ["audited", "exempt_sole_issuer", "exempt_small", "not_audited"]
    of_issuers = found.findings.filter(pl.col("table").is_in(["issuers", "plan_rows"]))
    assert of_issuers.select("rule_id", "rows").rows()[:3] == [("RDV-033", 1), ("RDV-034", 1), ("RDV-035", 1)]
    assert found.national["issuers"].sum() == 1
    assert found.rejected["sample"]["issuer_id"].unique().sort().to_list() == ["22222", "33333"]
    assert found.counts.filter(table="sample").select("input", "accepted", "rejected").row(0) == (120, 40, 80)
    assert found.issuers["applied_error_rate"].to_list() == [0.0, None, None, None]
    one_more = pl.concat([rows[:3], plan_rows("33333", months=501.0)])
    assert radv_adjustment(audit(*people), benefit_year=2021, plan_rows=one_more).issuers["status"][2] == "audited"
    given = pl.DataFrame(
        {"issuer_id": ["22222", "33333"], "is_sole_issuer": False, "billable_member_months": [700.0, 40_000.0]}
    )
    kept = radv_adjustment(audit(*people, issuers=given), benefit_year=2021, plan_rows=rows)
    assert kept.issuers["status"].to_list() == ["audited", "audited", "audited", "not_audited"]
    assert kept.issuers["is_drawn_at_random"].to_list() == [False, True, True, False]  # 19.2 and 4.8 million
    later = radv_adjustment(audit(*people, issuers=given), benefit_year=2023, plan_rows=rows)
    assert later.issuers["is_drawn_at_random"].to_list() == [False, True, False, False]  # 48,000, 700 and 40,000 months
    small = pl.concat([plan_rows("11111", "44444"), plan_rows("22222", "33333", pool="other")])
    assert "RDV-035" not in rules(radv_adjustment(audit(*people), benefit_year=2021, plan_rows=small))


def test_alone_in_one_pool_of_two_is_not_exempt():
    rows = pl.concat([plan_rows("11111", "22222"), plan_rows("11111", pool="other")])
    people = audit(carriers("11111", "HCC008", **HIGH), carriers("22222", "HCC008", both=40))
    found = radv_adjustment(people, benefit_year=2021, plan_rows=rows)
    assert found.issuers["status"].to_list() == ["audited", "audited"]


def test_who_is_drawn_at_random():
    given = pl.DataFrame(
        {"issuer_id": ["11111", "22222"], "premium": [15e6, 15e6 + 1], "billable_member_months": 30_000}
    )
    people = audit(carriers("11111", "HCC008", both=4), carriers("22222", "HCC008", both=4), issuers=given)
    assert radv_adjustment(people, benefit_year=2018).issuers["is_drawn_at_random"].to_list() == [True, False]
    assert radv_adjustment(people, benefit_year=2023).issuers["is_drawn_at_random"].to_list() == [True, True]


def test_no_error_rate_leaves_transfers_byte_for_byte():
    rows = markets.frame_of(markets.rows_of(5, issuers=4))
    people = audit(*[carriers(f"{10000 + i}", "HCC008", both=36, lost=4) for i in range(4)])
    found = radv_adjustment(people, benefit_year=2021, plan_rows=rows)
    assert found.issuers["error_rate"].to_list() == [0.0] * 4
    plain = transfers(rows, benefit_year=2021)
    assert found.after.plans.equals(plain.plans)
    assert found.after.issuers.equals(plain.issuers)
    assert found.after.pools.equals(plain.pools)
    assert set(found.transfers["adjustment"]) == {Decimal("0.00")}


def test_states_and_settings_reach_the_transfers():
    people = {n: f.with_columns(state=pl.lit("GA")) for n, f in audit(carriers("11111", "HCC008", **HIGH)).items()}
    rows = plan_rows("11111", "22222")
    both = pl.concat([rows.with_columns(state=pl.lit(s), market=pl.lit("individual")) for s in ("GA", "AL")])
    settings = {"state_reduction": {"GA": "0.5"}, "slide_outer_z": "3.5"}
    found = radv_adjustment(people, benefit_year=2021, national=NONE, plan_rows=both, settings=settings)
    assert [str(x) for x in found.transfers["adjustment"]] == ["0.00", "0.00", "-229333.33", "229333.33"]
    assert found.issuers.select("state", "issuer_id", "status").rows()[2] == ("GA", "11111", "audited")
    with pytest.raises(InputRefused, match="names states"):
        radv_adjustment(people, benefit_year=2021, national=NONE, plan_rows=rows)
    with pytest.raises(InputRefused, match="have a state"):
        radv_adjustment(people | {"hccs": people["hccs"].drop("state")}, benefit_year=2021)


@pytest.mark.slow
def test_what_an_appeal_changes():
    """Two more of 40 are found: 0.2 becomes 0.15. The threshold is 10,000 dollars from the audits of 2023 on."""
    rows = plan_rows("11111", "22222", "33333", months=1_000.0)
    more = audit(carriers("11111", "HCC008", both=34, lost=6), carriers("22222", "HCC008", both=40))
    found = moved(2023, plan_rows=rows)
    corrected = radv_adjustment(more, benefit_year=2023, national=NONE, plan_rows=rows)
    changed = found.appeal(corrected)
    assert changed["change"].to_list() == [
        new - old for new, old in zip(corrected.issuers["adjustment"], found.issuers["adjustment"], strict=True)
    ]
    assert changed["reaches_threshold"].to_list() == [abs(c) >= 10_000 for c in changed["change"]]
    assert changed["reaches_threshold"].to_list() == [True, False, False]
    assert found.appeal(found)["change"].to_list() == [Decimal("0.00")] * 3
    low = {"appeal_rerun_threshold_usd": 1}
    lower = moved(2023, plan_rows=rows, settings=low).appeal(corrected)
    assert lower["reaches_threshold"].to_list() == [True, True, True]
    earlier = moved(2021, plan_rows=rows)
    assert earlier.appeal(earlier)["reaches_threshold"].to_list() == [None] * 3
    for other in (earlier, moved(2023)):
        with pytest.raises(SettingRefused, match="held against"):
            found.appeal(other)


def test_samples_without_people_without_hccs():
    nobody = [{**carriers("11111", "HCC001", lost=1)[0], "is_submitted": False, "is_found": False}]
    people = audit(carriers("11111", "HCC008", both=4), nobody)
    assert rules(radv_adjustment(people, benefit_year=2025))["RDV-049"] == 1
    assert "RDV-049" not in rules(radv_adjustment(people, benefit_year=2024))


def test_an_error_rate_above_one_cannot_move_plan_risk():
    """x = 1 against a mean of -0.5: A = 1.5, and plan risk would fall below zero."""
    people = audit(carriers("11111", "HCC008", lost=40))
    odd = {"national": {"statistics": statistics(-0.5, 0.1)}, "benefit_year": 2021}
    assert radv_adjustment(people, **odd).issuers["error_rate"].to_list() == [1.5]
    with pytest.raises(InputRefused, match="TRF-041"):
        radv_adjustment(people, plan_rows=plan_rows("11111", "22222"), **odd)


# ------------------------------------------------------------------------------------------------ counts alone


def test_counts_say_the_same_as_people():
    """The failure rates of a market from counts of HCCs are those from its people; error rates need people."""
    people = markets.people_of(3, 2018, issuers=8, enrollees=40)
    frames = markets.audit_of(people)
    whole = radv_adjustment(frames, benefit_year=2018)
    counts = (
        frames["hccs"]
        .group_by("issuer_id", "hcc")
        .agg(submitted_hccs=pl.col("is_submitted").sum(), found_hccs=pl.col("is_found").sum())
    )
    alone = radv_adjustment({"counts": counts}, benefit_year=2018)
    assert alone.groups.equals(whole.groups)
    assert alone.hccs.equals(whole.hccs)
    assert alone.issuers["error_rate"].null_count() == 8
    assert rules(alone)["RDV-036"] == 8
    # One issuer's people among the counts of the others: its error rate is that of the whole market.
    mine = {n: f.filter(issuer_id="10002") for n, f in frames.items()}
    mixed = radv_adjustment(mine | {"counts": counts.filter(pl.col("issuer_id") != "10002")}, benefit_year=2018)
    assert mixed.groups.equals(whole.groups)
    assert mixed.issuers["error_rate"].drop_nulls().to_list() == [whole.issuers["error_rate"][2]]
    with pytest.raises(InputRefused, match="RDV-012"):
        radv_adjustment(mine | {"counts": counts}, benefit_year=2018)


def test_national_figures_in_place_of_those_at_hand():
    frames = markets.audit_of(markets.people_of(4, 2018, issuers=8, enrollees=40))
    whole = radv_adjustment(frames, benefit_year=2018)
    mine = {n: f.filter(issuer_id="10003") for n, f in frames.items()}
    national = {
        "counts": whole.hccs.drop_nulls("rank").select("hcc", "submitted_hccs", "found_hccs"),
        "statistics": whole.national.select("group", "mean_failure_rate", "standard_deviation"),
    }
    found = radv_adjustment(mine, benefit_year=2018, national=national)
    near = whole.groups.filter(issuer_id="10003")
    assert found.groups.drop("deviation", "group_adjustment").equals(near.drop("deviation", "group_adjustment"))
    assert found.groups["group_adjustment"].to_list() == pytest.approx(near["group_adjustment"].to_list(), abs=1e-15)
    assert found.national["source"].unique().to_list() == ["given"]
    groups = {"groups": whole.hccs.drop_nulls("rank").select("hcc", "group"), "statistics": national["statistics"]}
    assert radv_adjustment(mine, benefit_year=2018, national=groups).groups.equals(found.groups)


# ------------------------------------------------------------------------------------------------ against the twin


def compare(year: int, seed: int, issuers: int, enrollees: int) -> RadvAdjustment:
    people, rows = markets.people_of(seed, year, issuers, enrollees), markets.rows_of(seed, issuers)
    slow = oracle.adjusted(people, {} if year < 2019 else markets.groups_of(year), year)
    found = radv_adjustment(markets.audit_of(people), benefit_year=year, plan_rows=markets.frame_of(rows))
    assert dict(found.issuers.select("issuer_id", "error_rate").rows()) == {
        issuer: float(rate) for issuer, rate in slow["rates"].items()
    }
    of_groups = found.groups.group_by("issuer_id", maintain_order=True).agg("is_outlier", "group_adjustment")
    assert {i: (flags, a) for i, flags, a in of_groups.rows()} == {
        i: (slow["flags"][i], [float(a) for a in slow["factors"][i]]) for i in slow["rates"]
    }
    cents = oracle.moved_cents(rows, slow["rates"], Fraction(14, 100))
    keys = ("state", "risk_pool", "issuer_id")
    moved = found.transfers.select(*keys, "transfer_before", "transfer_after", "adjustment").rows()
    assert {row[:3]: tuple(int(x * 100) for x in row[3:]) for row in moved} == {
        key: (before, after, after - before) for key, (before, after) in cents.items()
    }
    return found


def thirty(year: int) -> None:
    found = compare(year, seed=year, issuers=30, enrollees=60)
    assert found.transfers.height == 90
    assert (found.issuers["outlier_groups"] > 0).sum() >= 1
    assert (found.transfers["adjustment"] != 0).sum() == 90  # everyone's transfer moves


@pytest.mark.every_case
@pytest.mark.parametrize("year", [pytest.param(y, marks=[] if y == 2021 else pytest.mark.slow) for y in ERAS])
def test_thirty_issuers_worked_twice(year):
    thirty(year)


@pytest.mark.slow
@pytest.mark.parametrize("year", sorted(set(YEARS) - set(ERAS)))
def test_thirty_issuers_of_the_other_years(year):
    thirty(year)


@pytest.mark.slow
@pytest.mark.parametrize(("year", "seed"), list(itertools.product(YEARS, range(5))))
def test_many_markets_worked_twice(year, seed):
    compare(year, seed=100 + seed, issuers=30, enrollees=120)


def test_order_of_rows_changes_nothing():
    people, rows = markets.people_of(7, 2021, 12, 60), markets.frame_of(markets.rows_of(7, 12))
    frames = markets.audit_of(people)
    found = radv_adjustment(frames, benefit_year=2021, plan_rows=rows)
    confidence = found.confidence(seed=3, draws=20)
    shuffled = {name: f.sample(fraction=1, shuffle=True, seed=5) for name, f in frames.items()}
    again = radv_adjustment(shuffled, benefit_year=2021, plan_rows=rows.sample(fraction=1, shuffle=True, seed=6))
    for name in ("issuers", "groups", "national", "hccs", "enrollees", "transfers", "pools", "findings", "uncertain"):
        assert getattr(again, name).equals(getattr(found, name)), name
    assert again.confidence(seed=3, draws=20).issuers.equals(confidence.issuers)


def test_lazy_frames_and_a_look_at_the_result():
    frames = {n: f.lazy() for n, f in audit(carriers("11111", "HCC008", both=4, lost=1)).items()}
    found = radv_adjustment(frames, benefit_year=2018)
    assert repr(found).startswith("RadvAdjustment(benefit_year=2018, transfer_year=2019, issuers=1, outliers=0")
    assert found.transfers.is_empty()
    assert found.pools.is_empty()
    assert found.before is None
    assert found.tables == ["hhs_hcc/hcc_label", "transfers/radv_parameters"]


def test_what_is_uncertain_and_moved_the_result():
    found = moved(2019, plan_rows=plan_rows("11111", "22222"))
    what = found.uncertain.filter(table="transfers/radv_parameters").select("what", "rows").rows()
    assert [(text.split(",")[0], rows) for text, rows in what] == [
        ("results_applied_to", 2),
        ("slide_inner_z", 1),
        ("slide_outer_z", 1),
    ]
    calm = moved(2019, national={"statistics": statistics(0.1, 0.5)})
    assert calm.uncertain.height == 0
    assert rules(moved(2017))["RDV-041"] == 1  # labels of 2018


# ------------------------------------------------------------------------------------------------ confidence


def test_draws_use_the_same_rule():
    """The vectorized rule, at the counts of the sample itself, gives the factors of the exact one."""
    for year in ERAS:
        found = radv_adjustment(markets.audit_of(markets.people_of(year, year, 10, 40)), benefit_year=year)
        basis = found._basis
        issuers = basis.arrays.issuers
        counts = [np.array([of[i] for i in issuers], float) for of in (basis.rates.submitted, basis.rates.found)]
        factors, is_outlier = _factors(basis, *counts)
        exact = [[float(a) for a in basis.rates.factors(i)] for i in issuers]
        assert factors == pytest.approx(np.array(exact), abs=1e-12)
        assert is_outlier.sum() == found.groups["is_outlier"].sum()
        both = [np.add.reduceat(c, basis.arrays.first[:-1]) for c in (basis.arrays.submitted, basis.arrays.found)]
        assert [b.tolist() for b in both] == [c.tolist() for c in counts]


def test_interval_of_an_error_rate():
    """A sure outlier: 40 of 100 lost, m = 0, so R = x: standard error sqrt(0.24 / 100); with A held nothing varies."""
    people = audit(carriers("11111", "HCC008", both=60, lost=40), carriers("22222", "HCC008", both=100))
    found = radv_adjustment(people, benefit_year=2018, national={"statistics": statistics(0.0, 0.001)})
    row, calm = found.confidence(seed=11, draws=150).issuers.rows(named=True)
    assert row["error_rate"] == 0.4
    assert row["mean_of_draws"] == pytest.approx(0.4, abs=0.01)
    assert row["standard_error"] == pytest.approx(0.049, abs=0.004)
    assert row["lower"] == pytest.approx(0.4 - 1.645 * 0.049, abs=0.015)
    assert row["upper"] == pytest.approx(0.4 + 1.645 * 0.049, abs=0.015)
    assert row["outlier_share"] == 1.0
    assert row["linearized_standard_error"] == pytest.approx(0.0, abs=1e-12)
    assert (calm["error_rate"], calm["lower"], calm["upper"], calm["outlier_share"]) == (0.0, 0.0, 0.0, 0.0)
    assert found.confidence(seed=11, draws=150).issuers.equals(found.confidence(seed=11, draws=150).issuers)
    assert not found.confidence(seed=12, draws=150).issuers.equals(found.confidence(seed=11, draws=150).issuers)


def test_linearized_error_by_hand():
    """Strata of two people with scores 2: (adj 0.5, 0) at weight 1 and (0, 0) at weight 3; A held.

    R = 1 x 2 x 0.5 / (4 + 12) = 1/16; u = 1 x 2 (0.5 - R), -2 R, -6 R, -6 R; only the first stratum spreads:
    var = 2 / 1 x 2 x 0.5^2 / 16^2, standard error sqrt(1) / 16.
    """
    people = carriers("11111", "HCC008", lost=1, stratum="a") + [
        {**p, "stratum": s, "stratum_weight": w, "enrollee_id": f"{s}{i}", "is_submitted": False, "is_found": False}
        for i, (s, w) in enumerate((("a", 1.0), ("b", 3.0), ("b", 3.0)))
        for p in carriers("11111", "HCC008", lost=1)
    ]
    found = radv_adjustment(audit(people), benefit_year=2018, national={"statistics": statistics(0.5, 0.01)})
    assert rules(found)["RDV-030"] == 3
    assert found.issuers["error_rate"].to_list() == [1 / 16]
    confidence = found.confidence(seed=1, draws=2)
    assert confidence.issuers["linearized_standard_error"].to_list() == pytest.approx([1 / 16])
    assert confidence.warnings == ()
    alone = [p | {"stratum": p["enrollee_id"]} for p in people]
    lone = radv_adjustment(audit(alone), benefit_year=2018).confidence(seed=1, draws=2)
    assert lone.warnings[0].startswith("4 strata")


@pytest.mark.parametrize("bad", [{"seed": -1}, {"seed": 1.5}, {"seed": 1, "draws": 1}, {"seed": 1, "level": 1}])
def test_draws_that_cannot_be(bad):
    with pytest.raises(SettingRefused):
        moved(2018).confidence(**bad)


def test_given_terms_win_over_the_table():
    given = {"slide_inner_z": 5, "slide_outer_z": 6, "min_hcc_count_for_outlier": 0}
    row = one_hcc(2019, 0.0, 0.05, both=32, lost=8, settings=given)
    assert row["is_outlier"] is False  # z = 4
    assert one_hcc(2019, 0.0, 0.04, both=3, lost=1, settings=given)["group_adjustment"] == 0.25
    small = {"exempt_bmm_at_or_below": 20_000}
    found = moved(2021, plan_rows=plan_rows("11111", "22222"), settings=small)
    assert found.issuers["status"].to_list() == ["exempt_small"] * 2
    assert found.transfers["adjustment"].to_list() == [0, 0]
