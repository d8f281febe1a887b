"""Claim selection: the worked claims, and every rule of section 3 of the scoring guide on small claims of our own."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

import riskadjust
from data_specs.errors import InputRefused, SettingRefused

CASES = Path(__file__).parent / "cases" / "hhs_hcc" / "claims"
DATES = {"birth_date", "statement_from", "statement_to", "span_start", "span_end"}


def read(name):
    frame = pl.read_csv(CASES / f"{name}.csv", infer_schema=False)
    return frame.with_columns(pl.col(c).str.to_date("%Y-%m-%d") for c in frame.columns if c in DATES)


@pytest.fixture(scope="module")
def worked():
    names = ("medical_claims", "medical_claim_lines", "claim_diagnoses", "supplemental_diagnoses", "enrollment_spans")
    return riskadjust.select_claims({n: read(n) for n in names}, benefit_year=2023)


def test_worked_decisions(worked):
    both = read("expected_claims").join(worked.decisions, left_on="claim_id", right_on="record_id", how="left")
    assert (both["risk_adjustment_eligible"] == "yes").to_list() == both["eligible"].to_list()


def test_worked_scores(worked):
    result = riskadjust.score(
        read("enrollees"),
        read("enrollment_spans"),
        worked.diagnoses,
        worked.drugs,
        benefit_year=2023,
        explain=True,
    ).scores
    expected = read("expected_enrollees")
    both = expected.join(result, on=["enrollee_id", "plan_id"], how="left", suffix="_ours")
    assert both.height == expected.height
    for row in both.iter_rows(named=True):
        assert row["variables"].split() == row["variables_ours"]
        assert (row["hccs_after_hierarchy"] or "").split() == row["hccs"]
        assert (row["model"], int(row["age_last"])) == (row["model_ours"], row["age_last_ours"])
        assert int(row["enrollment_days"]) == row["enrollment_days_ours"]
        for metal in ("platinum", "gold", "silver", "bronze", "catastrophic"):
            assert float(row[f"score_{metal}"]) == pytest.approx(row[f"score_{metal}_ours"], abs=5e-7)


SPAN = {"enrollee_id": "A", "plan_id": "12345XX0010001", "span_start": date(2024, 1, 1), "span_end": date(2024, 12, 31)}
CLAIM = {
    "claim_id": "C1",
    "enrollee_id": "A",
    "plan_id": "12345XX0010001",
    "form_type": "P",
    "bill_type": None,
    "statement_from": date(2024, 3, 1),
    "statement_to": date(2024, 3, 1),
    "discharge_status": None,
    "void_replace": None,
    "original_claim_id": None,
    "is_denied": False,
}
INPATIENT = {"form_type": "I", "bill_type": "111", "discharge_status": "01"}
CLAIM_SCHEMA = {
    **dict.fromkeys(CLAIM, pl.String),
    "statement_from": pl.Date,
    "statement_to": pl.Date,
    "is_denied": pl.Boolean,
}


def select(claims, *, codes=("99213",), spans=(SPAN,), year=2024, supplemental=None, pharmacy=None, settings=None):
    claims = [{**CLAIM, **c} for c in claims]
    tables = {
        "medical_claims": pl.DataFrame(claims, schema=CLAIM_SCHEMA),
        "medical_claim_lines": pl.DataFrame(
            [{"claim_id": c["claim_id"], "service_code": code} for c in claims for code in codes],
            schema={"claim_id": pl.String, "service_code": pl.String},
        ),
        "claim_diagnoses": pl.DataFrame(
            [{"claim_id": c["claim_id"], "diagnosis_code": "G35"} for c in claims],
            schema={"claim_id": pl.String, "diagnosis_code": pl.String},
        ),
        "enrollment_spans": pl.DataFrame(list(spans)),
        "supplemental_diagnoses": supplemental,
        "pharmacy_claims": pharmacy,
    }
    return riskadjust.select_claims(tables, benefit_year=year, settings=settings)


def reasons(selection):
    return dict(selection.decisions.select("record_id", "reason").rows())


@pytest.mark.parametrize(
    ("change", "codes", "eligible"),
    [
        ({}, ("99213",), True),
        ({}, ("80053",), False),
        ({}, ("80053", "99213"), True),
        ({}, (" 99213 ",), True),
        (INPATIENT, (), True),
        ({**INPATIENT, "bill_type": "117"}, (), True),
        ({**INPATIENT, "bill_type": "0111"}, (), True),
        ({**INPATIENT, "discharge_status": "30"}, (), False),
        ({**INPATIENT, "bill_type": "112"}, (), False),
        ({"form_type": "I", "bill_type": "131"}, ("99213",), True),
        ({"form_type": "I", "bill_type": "131"}, (), False),
        ({"form_type": "I", "bill_type": "132"}, ("99213",), False),
        ({"form_type": "I", "bill_type": "857"}, ("99213",), True),
        ({"form_type": "I", "bill_type": "871"}, ("99213",), False),
        ({"form_type": "I", "bill_type": "211"}, ("99213",), False),
        ({"form_type": "institutional", "bill_type": "131"}, ("99213",), True),
        ({"is_denied": True}, ("99213",), False),
        ({"statement_to": date(2025, 1, 2)}, ("99213",), False),
        ({"statement_from": date(2023, 12, 30), "statement_to": date(2024, 1, 2)}, ("99213",), False),
        ({"plan_id": "12345XX0010002"}, ("99213",), False),
        ({"plan_id": "12345XX0010001-04"}, ("99213",), True),
        ({"plan_id": None}, ("99213",), True),
        ({"enrollee_id": "B"}, ("99213",), False),
    ],
)
def test_one_claim(change, codes, eligible):
    selection = select([change], codes=codes)
    assert selection.decisions["eligible"].to_list() == [eligible], reasons(selection)
    assert selection.diagnoses.height == int(eligible)


def test_wider_bill_types_are_a_setting():
    assert select([{**INPATIENT, "bill_type": "112"}], codes=(), settings={"bill_types": "wider"}).diagnoses.height == 1
    outpatient = {"form_type": "I", "bill_type": "871"}
    assert select([outpatient], settings={"bill_types": "wider"}).diagnoses.height == 1


def test_inpatient_stay_admitted_while_enrolled_the_year_before():
    stay = {**INPATIENT, "statement_from": date(2023, 12, 28), "statement_to": date(2024, 1, 4)}
    before = {**SPAN, "span_start": date(2023, 7, 1), "span_end": date(2023, 12, 31)}
    assert select([stay], codes=(), spans=(before, SPAN)).diagnoses["service_date"].to_list() == [date(2024, 1, 4)]
    assert select([stay], codes=(), spans=(SPAN,)).diagnoses.height == 0
    # An outpatient or professional claim that crosses the year needs enrollment in the year too (R08).
    crossing = {"statement_from": date(2023, 12, 28), "statement_to": date(2024, 1, 4)}
    assert select([crossing], spans=(before,)).diagnoses.height == 0
    assert select([crossing], spans=(before, SPAN)).diagnoses.height == 1


def test_replacement_takes_the_place_of_the_original():
    new = {"claim_id": "C2", "void_replace": "R", "original_claim_id": "C1", "statement_to": date(2024, 3, 5)}
    selection = select([{}, new])
    assert selection.diagnoses["claim_id"].to_list() == ["C2"]
    assert reasons(selection) == {"C1": "replaced by a newer version", "C2": "eligible claim"}


def test_void_removes_the_chain_and_a_denied_replacement_nothing():
    new = {"claim_id": "C2", "void_replace": "R", "original_claim_id": "C1"}
    void = {"claim_id": "C3", "void_replace": "V", "original_claim_id": "C2"}
    assert reasons(select([{}, new, void])) == {"C1": "voided", "C2": "voided", "C3": "void record"}
    assert reasons(select([{}, {**new, "is_denied": True}])) == {"C1": "eligible claim", "C2": "denied claim"}


def test_circle_of_replacements_ends():
    one = {"claim_id": "C1", "void_replace": "R", "original_claim_id": "C2"}
    two = {"claim_id": "C2", "void_replace": "R", "original_claim_id": "C1"}
    assert select([one, two]).decisions.height == 2


def supplemental(*rows):
    columns = ("supplemental_id", "claim_id", "action", "diagnosis_code", "voids_supplemental_id")
    return pl.DataFrame(list(rows), schema=dict.fromkeys(columns, pl.String), orient="row")


def test_supplemental_adds_and_deletes_on_eligible_claims_only():
    records = supplemental(
        ("S1", "C1", "A", "e11.69", None), ("S2", "C1", "D", "G35", None), ("S3", "C9", "A", "C7800", None)
    )
    selection = select([{}], supplemental=records)
    assert selection.diagnoses["diagnosis_code"].to_list() == ["E1169"]
    assert reasons(selection)["S3"] == "does not point to an eligible claim"


def test_delete_comes_before_add_and_void_removes_a_record():
    both = supplemental(("S1", "C1", "A", "G35", None), ("S2", "C1", "D", "G35", None))
    assert select([{}], supplemental=both).diagnoses["diagnosis_code"].to_list() == ["G35"]
    voided = supplemental(("S1", "C1", "D", "G35", None), ("S2", "C1", "V", None, "S1"))
    assert select([{}], supplemental=voided).diagnoses["diagnosis_code"].to_list() == ["G35"]


def test_delete_leaves_the_same_code_on_another_claim():
    records = supplemental(("S1", "C1", "D", "G35", None))
    selection = select([{}, {"claim_id": "C2"}], supplemental=records)
    assert selection.diagnoses["claim_id"].to_list() == ["C2"]


def test_hcpcs_drug_of_a_claim_without_eligible_code():
    by_class = select([{}], codes=("J1817",))
    assert by_class.diagnoses.height == 0
    assert by_class.drugs.select("code_type", "code", "claim_id").rows() == [("hcpcs", "J1817", "C1")]
    assert select([{}], codes=("J1817",), settings={"hcpcs_rxc_claims": "eligible"}).drugs.height == 0
    assert select([{"void_replace": "V"}], codes=("J1817",)).drugs.height == 0


def fills(*rows):
    schema = {"claim_id": pl.String, "enrollee_id": pl.String, "plan_id": pl.String, "ndc": pl.String}
    schema |= {
        "fill_date": pl.Date,
        "rx_reference_number": pl.String,
        "fill_number": pl.Int16,
        "void_replace": pl.String,
    }
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def test_pharmacy_fills():
    plan = "12345XX0010001"
    selection = select(
        [],
        pharmacy=fills(
            ("F1", "A", plan, "00002021301", date(2024, 5, 1), "R1", 1, None),
            ("F2", "A", plan, "00002021301", date(2023, 5, 1), "R2", 1, None),
            ("F3", "A", "12345XX0010009", "00002021301", date(2024, 5, 1), "R3", 1, None),
            ("F4", "A", plan, "00002021302", date(2024, 6, 1), "R4", 1, None),
            ("F5", "A", plan, "00002021302", date(2024, 6, 1), "R4", 1, "V"),
        ),
    )
    assert selection.drugs.select("code", "claim_id").rows() == [("00002021301", "F1")]
    assert reasons(selection) == {
        "F1": "eligible fill",
        "F2": "fill date outside the benefit year",
        "F3": "no enrollment in the plan on the fill date",
        "F4": "voided",
        "F5": "void record",
    }


def test_year_without_table_2_uses_the_dated_list_and_says_so():
    span = {**SPAN, "span_start": date(2026, 1, 1), "span_end": date(2026, 12, 31)}
    claim = {"statement_from": date(2026, 3, 1), "statement_to": date(2026, 3, 1)}
    selection = select([claim], spans=(span,), year=2026)
    assert selection.diagnoses.height == 1
    assert selection.uncertain["table"].to_list() == ["hhs_hcc/service_code_effective_dates"]
    assert select([{}]).uncertain.height == 0


def test_every_record_gets_one_decision_in_any_order(worked):
    names = ("medical_claims", "medical_claim_lines", "claim_diagnoses", "supplemental_diagnoses", "enrollment_spans")
    shuffled = riskadjust.select_claims(
        {n: read(n).sample(fraction=1, shuffle=True, seed=3) for n in names}, benefit_year=2023
    )
    assert shuffled.decisions.equals(worked.decisions)
    assert shuffled.diagnoses.equals(worked.diagnoses)
    assert worked.decisions.height == read("medical_claims").height + read("supplemental_diagnoses").height
    assert worked.decisions["record_id"].is_unique().all()


def test_bad_calls_are_refused():
    with pytest.raises(InputRefused, match="claim_diagnoses is missing"):
        riskadjust.select_claims(
            {"medical_claims": pl.DataFrame(), "medical_claim_lines": pl.DataFrame()}, benefit_year=2024
        )
    with pytest.raises(SettingRefused, match="bill_type"):
        select([{}], settings={"bill_types": "all"})
    with pytest.raises(SettingRefused, match="no setting"):
        select([{}], settings={"bill_tpyes": "wider"})
