"""Audits worked out on paper, in fractions from the published steps: one of each era; and the readings left open."""

from fractions import Fraction

import polars as pl
import pytest
from radv_markets import audit, carriers, plan_rows, statistics
from radv_oracle import root

import riskadjust
from data_specs.errors import InputRefused, SettingRefused

SIX = [str(number) for number in range(20000, 20006)]


def market(year, scale, bad, good=(19, 1)):
    """An issuer of which many conditions are not found, six as usual, a pair (found, lost) for each of three HCCs."""
    hccs = ("HCC008", "HCC020", "HCC130") if year < 2021 else ("HCC008", "HCC020", "HCC001")
    people = []
    for issuer in ("11111", *SIX):
        pairs = bad if issuer == "11111" else (good,) * 3
        for hcc, (both, lost) in zip(hccs, pairs, strict=True):
            people.append(carriers(issuer, hcc, both=scale * both, lost=scale * lost))
    return riskadjust.radv_adjustment(audit(*people), benefit_year=year)


def of_issuer(found, issuer="11111"):
    rows = found.groups.filter(issuer_id=issuer)
    (row,) = found.issuers.filter(issuer_id=issuer).to_dicts()
    return rows["group_adjustment"].to_list(), row["error_rate"]


def paper(bad_lost, good_lost, of):
    """x - m and s of one group: an issuer that lost so many of `of`, six that lost so many of `of`."""
    mean = Fraction(bad_lost + 6 * good_lost, 7 * of)
    x, y = Fraction(bad_lost, of), Fraction(good_lost, of)
    return x - mean, root(((x - mean) ** 2 + 6 * (y - mean) ** 2) / 7)


# Of 7 issuers alike but one, that one lies sqrt(6) = 2.449 deviations off: beyond 1.96, between 1.645 and 3.


def test_an_audit_of_2018_on_paper():
    """A = x - m in two groups; each person's one HCC is all of h, so the error rate is the mean of A over people."""
    found = market(2018, 1, [(19, 1), (14, 6), (8, 12)])
    medium, high = (paper(lost, 1, 20)[0] for lost in (6, 12))
    assert (medium, high) == (Fraction(3, 14), Fraction(33, 70))
    assert of_issuer(found) == ([0.0, float(medium), float(high)], float((medium + high) / 3))
    assert all(of_issuer(found, issuer) == ([0.0] * 3, 0.0) for issuer in SIX)


def test_an_audit_of_2019_on_paper():
    """3 / (3 - 1.645) (sqrt(6) - 1.645) s in two groups of 40; twenty HCCs would be too few."""
    found = market(2019, 2, [(19, 1), (14, 6), (8, 12)])
    slope = 3 / (3 - Fraction("1.645"))
    factors = [Fraction(0)]
    for lost in (12, 24):
        distance, s = paper(lost, 2, 40)
        assert round(float(distance / s), 6) == round(6**0.5, 6)
        factors.append(slope * (distance - Fraction("1.645") * s))
    assert of_issuer(found) == ([float(a) for a in factors], float(sum(factors) / 3))
    assert of_issuer(market(2019, 1, [(19, 1), (14, 6), (8, 12)])) == ([0.0] * 3, 0.0)


def test_an_audit_of_2023_on_paper():
    """More found than submitted: the rate of an outlier below zero is 0 before the slide, and its z, too."""
    people = [carriers(i, "HCC008", both=25, lost=25) for i in SIX]
    found = riskadjust.radv_adjustment(audit(carriers("11111", "HCC008", both=50, extra=5), *people), benefit_year=2023)
    rows = found.groups.filter(issuer_id="11111", group="medium").to_dicts()
    mean = Fraction(150 - 5, 350)
    s = root(((Fraction(-1, 10) - mean) ** 2 + 6 * (Fraction(1, 2) - mean) ** 2) / 7)
    z = -mean / s
    assert -3 < z < Fraction("-1.645")
    assert rows[0]["constrained_failure_rate"] == 0.0
    slid = -3 / (3 - Fraction("1.645")) * (mean - Fraction("1.645") * s)
    assert rows[0]["group_adjustment"] == float(slid)
    assert of_issuer(found)[1] == float(slid * 50 / 55), "five of the 55 have no submitted HCC"


# ------------------------------------------------------------------------------------------------ readings left open


def test_the_deviation_of_a_sample_is_wider():
    """Seven issuers: s^2 times 7 / 6, so that z = sqrt(36 / 7) = 2.268; with two issuers nobody is ever an outlier."""
    people = [carriers(i, "HCC008", both=19, lost=1) for i in SIX] + [carriers("11111", "HCC008", both=8, lost=12)]
    both = [
        riskadjust.radv_adjustment(audit(*people), benefit_year=2018, settings=given)
        for given in ({}, {"deviation_form": "sample"})
    ]
    s, wider = (found.national.filter(group="medium")["standard_deviation"][0] for found in both)
    assert wider == pytest.approx(s * (7 / 6) ** 0.5, rel=1e-15)
    z = [found.groups.filter(issuer_id="11111", group="medium")["deviation"][0] for found in both]
    assert z == pytest.approx([6**0.5, (36 / 7) ** 0.5], rel=1e-14)
    shown = {row["setting"]: row["value"] for row in both[1].settings.to_dicts()}
    assert shown["deviation_form"] == "sample"
    assert {"deviation_form", "exiting_issuers"} <= set(both[0].settings["setting"].to_list())


def test_a_negative_rate_of_an_exiting_issuer_by_setting():
    low = carriers("11111", "HCC008", both=20)
    leaving = {"issuers": pl.DataFrame({"issuer_id": ["11111"], "is_exiting": [True]})}
    nation = {"statistics": statistics(0.2, 0.05)}
    rows = plan_rows("11111", "22222")
    for given, factor in ((None, 0.0), ({"exiting_issuers": "always"}, -0.2)):
        found = riskadjust.radv_adjustment(
            audit(low, **leaving), benefit_year=2018, national=nation, plan_rows=rows, settings=given
        )
        (row,) = found.issuers.filter(issuer_id="11111").to_dicts()
        assert (row["error_rate"], row["applied_error_rate"]) == pytest.approx((-0.2, factor))
        assert (row["adjustment"] > 0) == (factor < 0), "more risk, so it receives"


def test_an_appeal_is_of_the_same_keys():
    low = carriers("11111", "HCC008", both=20, lost=4)
    rows = plan_rows("11111", "22222").with_columns(state=pl.lit("GA"))
    nation = {"statistics": statistics(0.02, 0.01)}
    plain = audit(low)
    by_state = {name: frame.with_columns(state=pl.lit("GA")) for name, frame in plain.items()}
    one, other = (
        riskadjust.radv_adjustment(frames, benefit_year=2018, national=nation, plan_rows=rows)
        for frames in (plain, by_state)
    )
    assert one.issuers["adjustment"].to_list() == other.issuers["adjustment"].to_list()
    with pytest.raises(SettingRefused, match="held against each other"):
        one.appeal(other)


def test_two_years_that_are_averaged_have_the_same_keys():
    plain = audit(carriers("11111", "HCC008", both=40, lost=40))
    by_state = {name: frame.with_columns(state=pl.lit("GA")) for name, frame in plain.items()}
    nation = {"statistics": statistics(0.02, 0.01)}
    other = riskadjust.radv_adjustment(plain, benefit_year=2020, national=nation)
    with pytest.raises(InputRefused, match="the other year's has no state"):
        riskadjust.radv_adjustment(by_state, benefit_year=2019, national=nation, averaged_with=other)
    found = riskadjust.radv_adjustment(plain, benefit_year=2019, national=nation, averaged_with=other)
    assert found.issuers["applied_error_rate"].to_list() == [0.48]


def test_where_all_are_exempt_nothing_moves():
    """A sole issuer of a state is audited by mistake: its sample takes no part, and its transfers stand."""
    frames = audit(carriers("11111", "HCC008", both=20, lost=20))
    found = riskadjust.radv_adjustment(frames, benefit_year=2018, plan_rows=plan_rows("11111"))
    assert found.issuers["status"].to_list() == ["exempt_sole_issuer"]
    assert found.issuers["error_rate"].to_list() == [None]
    assert found.after.issuers.equals(found.before.issuers)
    assert found.national["mean_failure_rate"].to_list() == [None] * 3
    assert found.confidence(seed=1, draws=2).issuers.height == found.enrollees.height == 0
    nothing = {**frames, "hccs": frames["hccs"].with_columns(is_submitted=False)}
    with pytest.raises(InputRefused, match="no HCC was submitted"):
        riskadjust.radv_adjustment(nothing, benefit_year=2018)
