"""Every form in which designs are handed in gives the same values; what cannot have one is told, never valued."""

import json
import random
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from av_designs import KINDS, designs

import rating
from data_specs.errors import InputRefused
from rating._av_columns import SERVICES, concatenated, plain_columns
from rating._av_inputs import read_designs
from rating._av_mapping import columns_of_mappings

CASES = json.loads((Path(__file__).parent / "cases" / "av" / "av_cases.json").read_text(encoding="utf-8"))["cases"]
OF_2026 = [case for case in CASES if case["av_year"] == 2026]
PLANS = [case["plan"] for case in OF_2026]
BRONZE = {
    "deductible_type": "integrated", "deductible": 7000, "plan_coinsurance": 1.0, "moop": 7000, "table_metal": "bronze",
}  # fmt: skip


def valued(plans, year=2026, **settings):
    return rating.actuarial_value(plans, plan_year=year, settings=settings)


def row_of(plan, **settings):
    return valued([plan], **settings).designs.row(0, named=True)


def typed(plan):
    """The same design as typed objects."""
    services = {name: rating.ServiceTerms(**terms) for name, terms in plan["services"].items()}
    return rating.Design(**{**plan, "services": services})


FORMS = {
    "mappings": list,
    "typed": lambda plans: [typed(plan) for plan in plans],
    "frame of cases": lambda _: pl.DataFrame(OF_2026),
    "lazy frame of structs": lambda plans: pl.DataFrame([{"plan": plan} for plan in plans]).lazy(),
    "frame of JSON": lambda plans: pl.DataFrame({"plan": [json.dumps(plan) for plan in plans], "other": 1}),
    "mappings as columns": pl.DataFrame,
    "columns": columns_of_mappings,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_published_values(form):
    found = valued(FORMS[form](PLANS)).designs
    expected = [case["expected"]["av"] for case in OF_2026]
    assert found["av"].to_list() == pytest.approx(expected, abs=1e-6)
    assert found["av"].equals(valued(PLANS).designs["av"])


def test_a_single_design_of_either_kind():
    for plan in PLANS[:3]:
        one, other = (valued(form).designs for form in (plan, typed(plan)))
        assert one.equals(other)
        assert one["av"].item() == valued([plan]).designs["av"].item()


def test_designs_have_a_name_a_plan_id_or_a_number():
    plans = [BRONZE, {**BRONZE, "name": "Basic"}, {**BRONZE, "plan_id": "12345AZ0010001", "csr_variant": "00"}]
    plans += [{**BRONZE, "plan_id": "12345AZ0010001-01"}, {**BRONZE, "plan_id": "12345AZ001000103"}]
    found = valued(plans).designs
    assert found["design_id"].to_list() == [
        "1", "Basic", "12345AZ0010001-00", "12345AZ0010001-01", "12345AZ001000103",
    ]  # fmt: skip
    assert found["plan_id"].to_list() == [None, None, *["12345AZ0010001"] * 3]
    assert found["csr_variant"].to_list() == [None, None, "00", "01", "03"]
    frame = pl.DataFrame([{"design_id": "A", "plan": BRONZE}, {"design_id": "B", "plan": BRONZE}])
    assert valued(frame).designs["design_id"].to_list() == ["A", "B"]


def table_rows(plan, design_id, tier=None):
    """A design, with its second tier, as the rows of a table; what both tiers share is left blank in the second."""
    own = {key: value for key, value in plan.items() if key not in ("services", "options", "tier2")}
    own |= plan.get("options", {})
    rows = []
    for number, (service, terms) in enumerate((plan.get("services") or {None: {}}).items()):
        said = {("service_coinsurance" if k == "plan_coinsurance" else k): v for k, v in terms.items()}
        first = own if number == 0 else {}
        rows.append({"design_id": design_id, "tier": tier, **first, "service": service, **said})
    return rows + (table_rows(plan["tier2"], design_id, 2) if "tier2" in plan else [])


def test_a_table_has_two_tiers():
    plans = designs("two_tiers", 20, seed=5) + designs("exempt_copays", 3, seed=5)
    inherits = {**plans[0], "tier2": {"deductible": plans[0]["moop"]}}  # services as in tier 1
    plans.append(inherits)
    rows = [row for n, plan in enumerate(plans) for row in table_rows(plan, f"D{n}")]
    found = valued(pl.from_dicts(rows, infer_schema_length=None), coinsurance_is="plan").designs
    assert found["av"].null_count() < 3
    assert found["av"].equals(valued(plans, coinsurance_is="plan").designs["av"])


def test_a_table_says_what_the_mapping_says_of_the_plan():
    facts = {"plan_id": "12345AZ0010001", "csr_variant": "04", "market": "individual", "is_hdhp": True}
    facts |= {"desired_metal": "silver", "filed_av": 0.7312, "filed_source": "attachment 3"}
    plan = {**BRONZE, "deductible": 3000, "moop": 6000, **facts}
    for table in (pl.DataFrame([{"design_id": "X", **plan}]), pl.DataFrame([{"service": None, **plan}])):
        found = valued(table).designs.row(0, named=True)
        assert found == {**row_of(plan), "design_id": found["design_id"]}
    assert found["design_id"] == "12345AZ0010001-04"
    numbers = pl.DataFrame([{"design_id": "X", **plan, "csr_variant": 4.0, "is_hdhp": "yes", "filed_av": "0.7312"}])
    assert valued(numbers).designs.drop("design_id").equals(valued([plan]).designs.drop("design_id"))


def test_blank_is_never_nothing():
    for key in ("deductible", "plan_coinsurance", "moop"):
        for plan in ({**BRONZE, key: None}, {k: v for k, v in BRONZE.items() if k != key}):
            with pytest.raises(InputRefused, match=f"{key!r} is missing"):
                valued(plan)
        row = valued(pl.DataFrame([{"design_id": "A", **BRONZE, key: None}]))
        assert row.designs["flags"].to_list() == [["missing_amount"]]


IMPOSSIBLE = {
    "moop_below_deductible": {"moop": 6000},
    "copay_per_day_blank": {"options": {"inpatient_copay_per_day": True}},
    "first_visits_twice": {
        "options": {
            f"primary_care_first_n_visits_{kind}": 2 for kind in ("free", "copay_then_deductible")
        }
    },
    "unknown_key": {"oop": 1},
    "unknown_service": {"services": {"dental": {}}},
    "unknown_word": {"table_metal": "tin"},
    "unreadable_value": {"moop": "7000"},
    "value_out_of_range": {"plan_coinsurance": 80},
    "count_out_of_range": {"options": {"inpatient_copay_max_days": 11}},
    "tiers_incomplete": {"tier2": {}},
    "variant_differs": {"plan_id": "12345AZ0010001-04", "csr_variant": "05"},
}  # fmt: skip


@pytest.mark.parametrize("flag", IMPOSSIBLE)
@pytest.mark.every_case
def test_what_cannot_have_a_value_is_refused_alone_and_counted_among_others(flag):
    plan = {**BRONZE, **IMPOSSIBLE[flag]}
    rules = rating.actuarial_value([], plan_year=2026)
    with pytest.raises(InputRefused) as refusal:
        valued(plan)
    result = valued([BRONZE, plan, BRONZE])
    first, row, last = result.designs.rows(named=True)
    assert first["av"] == last["av"] == pytest.approx(0.6519218, abs=1e-6)
    assert (row["av"], row["metal_level"], row["table_metal"], row["flags"]) == (None, None, None, [flag])
    assert (row["av_status"], row["converged"], row["in_range"], row["iterations"]) == ("flagged", False, False, 0)
    refused = result.refused["designs"].row(0, named=True)
    assert (refused["what"], refused["rule"]) == (refusal.value.what, refusal.value.rule)
    assert refused["where"] == re.sub(r"^design 1(?=,|$)", "design 2", refusal.value.where)
    assert result.counts.select("input", "accepted", "rejected").row(0) == (3, 2, 1)
    line = result.findings.filter(rule_id=refused["rule_id"]).row(0, named=True)
    assert (line["severity"], line["action"], line["rows"]) == ("error", "reject_record", 1)
    assert rules.designs.height == 0


BAD_ROWS = {
    "unknown_service": ({"service": "generics"}, {}),
    "rows_differ": ({}, {"moop": 7001}),
    "service_listed_twice": ({"service": "xray"}, {"service": "xray"}),
    "terms_without_service": ({}, {"copay": 3}),
    "unknown_word": ({"tier": 3}, {}),
    "unreadable_value": ({"service": "xray", "subject_to_deductible": "perhaps"}, {}),
    "value_out_of_range": ({"service": "xray", "copay": -3}, {}),
    "unknown_key": ({"deductible_drug": 5}, {}),
    "tiers_incomplete": ({"tier1_utilization": 0.5}, {}),
    "first_visits_twice": (
        {"primary_care_first_n_visits_free": 2, "primary_care_first_n_visits_copay_then_deductible": 2},
        {},
    ),
}


@pytest.mark.parametrize("flag", BAD_ROWS)
@pytest.mark.every_case
def test_a_bad_row_of_a_table_costs_its_design_only(flag):
    first, second = BAD_ROWS[flag]
    rows = [{"design_id": "A", **BRONZE}, {"design_id": "B", **BRONZE, **first}, {"design_id": "B", **second}]
    rows += [{"design_id": "C", **BRONZE}]
    schema = {key: pl.String for row in rows for key in row}
    texts = [{key: None if value is None else str(value) for key, value in row.items()} for row in rows]
    result = valued(pl.DataFrame(texts, schema=schema))
    assert result.designs["design_id"].to_list() == ["A", "B", "C"]
    assert result.designs["av"].is_null().to_list() == [False, True, False]
    assert result.designs["flags"][1].to_list() == [flag]
    assert result.refused["designs"]["design_id"].to_list() == ["B"]


def test_a_table_that_cannot_be_read_as_a_whole_is_refused():
    with pytest.raises(InputRefused, match="did you mean 'copay'"):
        valued(pl.DataFrame([{"design_id": "A", **BRONZE, "copays": 1}]))
    with pytest.raises(InputRefused, match=r"row 2.*design_id"):
        valued(pl.DataFrame([{"design_id": "A", **BRONZE}, {"design_id": None, **BRONZE}]))
    for thing in ("plan", 7, [BRONZE, 7], {"a"}):
        with pytest.raises(InputRefused):
            valued(thing)
    assert row_of(BRONZE)["av"] is not None
    broken = valued(pl.DataFrame({"plan": [json.dumps(BRONZE), "{", None]}))
    assert broken.designs["flags"].to_list()[1:] == [["unreadable_value"]] * 2


def test_what_is_probably_not_meant_has_a_flagged_value():
    services = {"primary_care": {"copay": 30}}
    doubtful = {
        "moop_above_limit": {"deductible": 9000, "moop": 10_650},
        "copay_above_moop": {"services": {"inpatient": {"copay": 7100, "subject_to_coinsurance": False}}},
        "copay_implausible": {"services": {"primary_care": {"copay": 3000, "subject_to_coinsurance": False}}},
        "share_below_half": {"moop": 8000, "plan_coinsurance": 0.2},
        "copay_without_flags": {"services": services},
        "days_without_copay_per_day": {"options": {"inpatient_copay_max_days": 3}},
    }
    for flag, change in doubtful.items():
        result = valued({**BRONZE, **change})
        row = result.designs.row(0, named=True)
        assert flag in row["flags"]
        assert (row["av_status"], row["av"] is None) == ("flagged", False)
        assert result.findings.filter(severity="warning")["rows"].max() == 1
    # A copay of 0 is none: it needs no flags. With first visits at the copay it works.
    assert "copay_without_flags" not in row_of({**BRONZE, "services": {"generic": {"copay": 0}}})["flags"]
    first = {"primary_care_first_n_visits_copay_then_deductible": 3}
    assert "copay_without_flags" not in row_of({**BRONZE, "services": services, "options": first})["flags"]


def test_employer_money_beside_two_deductibles_is_flagged():
    plan = {
        "deductible_type": "separate_deductible_combined_moop", "deductible_medical": 2000, "deductible_drug": 200,
        "plan_coinsurance_medical": 0.8, "plan_coinsurance_drug": 0.7, "moop": 8000,
    }  # fmt: skip
    flags = row_of({**plan, "options": {"employer_hsa_hra": 500}})["flags"]
    assert "employer_money_undefined" in flags
    assert "employer_money_undefined" not in row_of(plan)["flags"]


def test_doubts_look_at_the_second_tier_where_it_is_used():
    columns = plain_columns(2, deductible=1000.0, plan_coinsurance=0.8, moop=9000.0)
    poor = plain_columns(2, deductible=1000.0, plan_coinsurance=0.2, moop=9000.0)
    both = columns.with_changes(tier2=poor, tier1_share=np.array([1.0, 0.8]))
    assert [("share_below_half" in flags) for flags in valued(both).designs["flags"]] == [False, True]


def test_coinsurance_may_be_the_enrollees():
    plan = {**BRONZE, "deductible": 2000, "plan_coinsurance": 0.8, "services": {"imaging": {"plan_coinsurance": 0.5}}}
    turned = {**plan, "plan_coinsurance": 0.2, "services": {"imaging": {"plan_coinsurance": 0.5}}}
    table = pl.DataFrame([{"design_id": "A", **{k: v for k, v in turned.items() if k != "services"}}])
    table = table.with_columns(service=pl.lit("imaging"), service_coinsurance=0.5)
    wanted = row_of(plan)
    for form in (turned, table, columns_of_mappings([turned])):
        found = valued(form, coinsurance_is="enrollee").designs.row(0, named=True)
        assert found["av"] == pytest.approx(wanted["av"], abs=1e-12)
        assert found["flags"] == wanted["flags"]
    assert "share_below_half" in row_of(turned)["flags"]
    assert "share_below_half" not in row_of(turned, coinsurance_is="plan")["flags"]


def test_a_filed_value_stands_and_is_compared():
    ours = row_of(BRONZE)["av"]
    row = row_of({**BRONZE, "filed_av": 0.6519, "filed_source": "attachment 3"})
    assert (row["av"], row["av_status"], row["filed_source"]) == (0.6519, "filed", "attachment 3")
    assert row["av_recomputed"] == ours
    assert row["filed_difference"] == pytest.approx(0.6519 - ours, abs=1e-15)
    assert "filed_av_without_source" in row_of({**BRONZE, "filed_av": 0.6519})["flags"]
    far = {**BRONZE, "filed_av": 0.66, "filed_source": "attachment 3"}
    row = row_of(far)
    assert (row["av"], row["av_status"], "filed_av_differs" in row["flags"]) == (0.66, "flagged", True)
    assert row_of(far, filed_tolerance=0.01)["av_status"] == "filed"
    # Two deductibles are not confirmed by a published value; the filed one does it.
    two = {"deductible_type": "separate_deductible_combined_moop", "deductible_medical": 2000, "deductible_drug": 200}
    two |= {"plan_coinsurance_medical": 0.8, "plan_coinsurance_drug": 0.7, "moop": 8000}
    assert row_of(two)["av_status"] == "flagged"
    assert row_of({**two, "filed_av": row_of(two)["av"], "filed_source": "-"})["av_status"] == "filed"
    # Where ours does not settle there is nothing to compare with.
    exempt = {"copay": 30, "subject_to_deductible": False, "subject_to_coinsurance": False}
    services = {name: exempt for name in SERVICES if name not in ("inpatient", "preventive")}
    open_one = {**BRONZE, "deductible": 1000, "moop": 1000, "services": services, "table_metal": "bronze"}
    row = row_of({**open_one, "filed_av": 0.91, "filed_source": "-"})
    assert (row["av"], row["av_recomputed"], row["av_status"]) == (0.91, None, "flagged")
    # A filed value does not save a design that no plan can have.
    row = row_of({**far, "moop": 1})
    assert (row["av"], row["flags"], row["filed_av"]) == (None, ["moop_below_deductible"], 0.66)


def test_forms_agree_on_designs_of_every_kind_in_any_order():
    plans = [plan for kind in KINDS for plan in designs(kind, 3, seed=31)]
    order = random.Random(2).sample(range(len(plans)), len(plans))
    wanted = valued(plans).designs.drop("design_id")
    for form in (list, columns_of_mappings):
        found = valued(form([plans[n] for n in order])).designs.drop("design_id")
        assert found.equals(wanted[order])
    many = concatenated([columns_of_mappings(plans)] * 2)
    assert valued(many).designs.drop("design_id").equals(pl.concat([wanted, wanted]))


def test_the_caller_keeps_the_columns_as_they_were():
    columns = columns_of_mappings([{**BRONZE, "deductible": 9000}])
    before = {name: array.copy() for name, array in vars(columns).items() if name != "tier2"}
    read = read_designs(columns)
    assert [problem.rule_id for problem in read.problems] == ["AVC-020"]
    for name, array in before.items():
        np.testing.assert_array_equal(getattr(columns, name), array)
