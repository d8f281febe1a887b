"""The command `poolwise failsafes` as its users meet it: folders it understands, files it leaves, what it refuses."""

import json
from decimal import Decimal

import polars as pl
import pytest
import radv_markets
from commands import refused, run
from failsafe_tables import CLAIMS, HCCS, NATION, PLAN_ROWS, SAMPLE, STATEMENT, YEARS, document, put, year_of

import riskadjust
from data_specs import _registry
from poolwise.cli._failsafes_inputs import with_statement

pytestmark = pytest.mark.usefixtures("plain_terminal", "undrawn")


@pytest.fixture
def undrawn(monkeypatch):
    """Page and workbook are left out: they are looked at in test_failsafes_page."""
    monkeypatch.setattr("poolwise.cli._failsafes_results.FailsafesOutcome.draw", lambda *_, **__: False)


@pytest.fixture
def folder(tmp_path):
    """A folder that tables are put into by `put`."""
    place = tmp_path / "year"
    place.mkdir()
    return place


# ------------------------------------------------------------------------------------------------ programs


def test_reinsurance_of_a_state_by_hand(folder):
    """Maryland 2022: 80 percent of 20,000 to 250,000; half of what is asked for is there."""
    found = document(put(folder, claims=CLAIMS), 2022, "--state", "MD", "--setting", "budget=128000")
    (total,) = found["programs"]["reinsurance"]["totals"]
    assert total["payment_before_proration"] == "256000.00"  # 184,000 + 64,000 + 8,000
    assert (total["payment"], total["proration"]) == ("128000.00", 0.5)
    assert [i["payment"] for i in found["programs"]["reinsurance"]["issuers"]] == ["124000.00", "4000.00"]
    assert {u["table"] for u in found["uncertain"]} == {"transfers/state_reinsurance_1332"}
    assert found["exit_code"] == 0


def test_coinsurance_by_area(folder):
    claims = "issuer_id,enrollee_id,rating_area_id,plan_paid\n11111,E1,1,120000\n11111,E2,2,120000\n"
    put(folder, claims=claims)
    found = document(folder, 2022, "--state", "GA", "--setting", "coinsurance@1=0.45", "--setting", "coinsurance@2=0.8")
    assert found["programs"]["reinsurance"]["totals"][0]["payment"] == "125000.00"  # 45,000 + 80,000
    assert "differs by area" in refused("failsafes", folder, "--benefit-year", 2022, "--state", "GA")["what"]


def test_given_layers_are_a_what_if_and_said_to_be(folder):
    layers = "from_usd,to_usd,share\n10000,50000,0.5\n50000,,1\n"
    found = document(put(folder, claims=CLAIMS, layers=layers), 2025, "--state", "OH")
    payments = [i["payment"] for i in found["programs"]["reinsurance"]["issuers"]]
    assert payments == ["440000.00", "10000.00"]  # 20,000 + 350,000, 20,000 + 50,000; 10,000
    assert any("what-if" in note and "OH" in note for note in found["notes"])


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("given", "payment"), [((), "260000.00"), (("--setting", "coinsurance_basis=announced"), "208000.00")]
)
def test_the_transitional_program_needs_no_state(folder, given, payment):
    found = document(put(folder, claims=CLAIMS, covered_life_years=LIFE_YEARS), 2014, *given)
    first, second = found["programs"]["reinsurance"]["issuers"]
    assert (first["payment"], first["contribution"]) == (payment, "-6300.00")  # 63 dollars x 100
    assert Decimal(first["net"]) == Decimal(payment) - 6300
    assert second["payment"] == "0.00"


LIFE_YEARS = "issuer_id,covered_life_years\n11111,100\n22222,50\n"


def test_corridors_by_hand(folder):
    """C02 of the case folder: owed 153,600, of which 12.6 percent were paid."""
    found = document(put(folder, corridors=STATEMENT), 2014, "--setting", "payout_rate=published")
    (issuer,) = found["programs"]["risk_corridors"]["issuers"]
    assert (issuer["target_amount"], issuer["corridor"], issuer["corridor_paid"]) == (
        "7760000.00",
        "153600.00",
        "19353.60",
    )
    assert year_of(found, "11111") == {
        "transfers": "200000.00",
        "reinsurance": "500000.00",
        "risk_corridors": "19353.60",
    }
    rows = found["issuer_years"]
    assert [rows[0]["before"], rows[-1]["after"]] == ["1100000.00", "1819353.60"]
    assert rows[-1]["loss_ratio_after"] == pytest.approx((8_900_000 - 719_353.60) / 10_000_000)


def test_what_a_statement_leaves_open_comes_from_the_run(folder):
    """C = 8,900,000 + 100,000 - 200,000 - 260,000, the payment for E1 and E2."""
    blank = STATEMENT.replace(",200000,500000,0", ",200000,,0")
    found = document(put(folder, claims=CLAIMS, corridors=blank), 2014)
    (issuer,) = found["programs"]["risk_corridors"]["issuers"]
    assert issuer["allowable_costs"] == "8540000.00"
    assert "reinsurance_received of 1 row of corridors was taken from this run" in found["notes"]


def test_what_nobody_knows_is_refused(folder):
    blank = STATEMENT.replace(",200000,500000,0", ",,500000,0")
    assert "COR-002" in refused("failsafes", put(folder, corridors=blank), "--benefit-year", 2014)["rule"]


def test_loss_ratio_by_hand(folder):
    found = document(put(folder, loss_ratio_years=YEARS), 2023)
    (issuer,) = found["programs"]["medical_loss_ratio"]["issuers"]
    assert (issuer["mlr"], issuer["rebate"]) == (0.754, "16063200.00")
    assert year_of(found, "11111") == {"transfers": "2000000.00", "medical_loss_ratio": "-16063200.00"}
    assert found["issuer_years"][0]["premium"] == "360000000.00"


def test_audits_move_transfers_of_the_following_year(folder):
    """A fifth of one issuer's risk: (0.80 / 0.90 - 1) x 344 x 12,000."""
    put(folder, audit_sample=SAMPLE, audit_hccs=HCCS, national_statistics=NATION, plan_rows=PLAN_ROWS)
    found = document(folder, 2019)
    assert year_of(found, "11111") == {"transfers": "0.00", "radv_adjustment": "-458666.67"}
    assert year_of(found, "22222") == {"transfers": "0.00", "radv_adjustment": "458666.67"}
    rates = {i["issuer_id"]: i["error_rate"] for i in found["programs"]["radv_adjustment"]["issuers"]}
    assert rates["11111"] == pytest.approx(0.2)
    assert "confidence" not in found["programs"]["radv_adjustment"]


def test_intervals_are_drawn_when_a_seed_is_given(folder):
    put(folder, audit_sample=SAMPLE, audit_hccs=HCCS, national_statistics=NATION, claims=CLAIMS)
    terms = ("seed=1", "draws=20", "member_months=60", "premium_pmpm=9000", "coinsurance=0.5")
    options = [part for term in terms for part in ("--setting", term)]
    layers = "from_usd,to_usd,share\n10000,50000,0.5\n"
    found = document(put(folder, layers=layers), 2019, "--state", "OH", *options[:-2])
    effects = {e["measure"]: e["value"] for e in found["programs"]["reinsurance"]["premium_effects"]}
    assert effects["recovery_pmpm"] == pytest.approx(50_000 / 60)  # 20,000 + 20,000 + 10,000
    (drawn,) = found["programs"]["radv_adjustment"]["confidence"]
    assert drawn["lower"] <= drawn["error_rate"] <= drawn["upper"]
    assert (
        "layers and a coinsurance"
        in refused("failsafes", folder, "--benefit-year", 2019, "--state", "OH", *options)["what"]
    )


@pytest.mark.slow
def test_a_market_of_thirty_issuers_is_what_the_function_says(folder):
    people = radv_markets.people_of(7, 2018)
    rows = radv_markets.frame_of(radv_markets.rows_of(7))
    audit = radv_markets.audit_of(people)
    audit["sample"].write_parquet(folder / "audit_sample.parquet")
    audit["hccs"].write_parquet(folder / "audit_hccs.parquet")
    rows.write_parquet(folder / "plan_rows.parquet")
    expected = riskadjust.radv_adjustment(audit, benefit_year=2018, plan_rows=rows).issuers
    found = document(folder, 2019)["programs"]["radv_adjustment"]["issuers"]
    assert {i["issuer_id"]: i["adjustment"] for i in found} == {
        issuer: str(amount) for issuer, amount in expected.select("issuer_id", "adjustment").rows()
    }


# ------------------------------------------------------------------------------------------------ files and codes


def test_files_of_a_run(folder, tmp_path):
    put(folder, claims=CLAIMS, corridors=STATEMENT)
    out = tmp_path / "out"
    said = run("failsafes", folder, "--benefit-year", 2014, "--out", out, "--format", "csv")
    assert said.stdout.splitlines()[-1] == f"Results: {out}"
    assert {p.name for p in out.iterdir()} == {
        "issuer_years.csv",
        "reinsurance_issuers.csv",
        "reinsurance_totals.csv",
        "reinsurance_enrollees.csv",
        "corridor_issuers.csv",
        "corridor_totals.csv",
        "rejected_claims.csv",
        "findings.csv",
        "counts.csv",
        "settings.csv",
        "uncertain.csv",
        "manifest.json",
    }
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["command"], manifest["benefit_year"]) == ("failsafes", 2014)
    assert manifest["settings"]["reinsurance: coinsurance_basis"] == "final"
    assert sorted(i["name"] for i in manifest["inputs"]) == ["claims.csv", "corridors.csv"]
    for output in manifest["outputs"]:
        assert output["digest"] == _registry.digest_of(out / output["name"])
    counts = {row["table"]: (row["input"], row["rejected"]) for row in manifest["counts"]}
    assert counts["reinsurance: claims"] == (5, 1)  # that of a small group


def test_the_issuer_with_the_most_premium_is_shown_unless_another_is_named(folder):
    both = STATEMENT + STATEMENT.splitlines()[1].replace("11111,10000000", "22222,20000000") + "\n"
    put(folder, corridors=both)
    assert document(folder, 2014)["issuer"] == "22222"
    assert document(folder, 2014, "--issuer", "11111")["issuer"] == "11111"
    assert "The year of issuer 11111" in run("failsafes", folder, "--benefit-year", 2014, "--issuer", "11111").stdout
    assert "no program of this folder" in refused("failsafes", folder, "--benefit-year", 2014, "--issuer", "3")["what"]


def test_a_program_without_figures_of_the_year_is_left_out(folder):
    """A payout rate is published for 2014 alone: reinsurance of 2016 is worked out, its corridors are not."""
    put(folder, claims=CLAIMS, corridors=STATEMENT)
    found = document(folder, 2016, "--setting", "payout_rate=published", code=3)
    assert list(found["left_out"]) == ["risk_corridors"]
    assert "no payout rate is held for benefit year 2016" in found["notes"][-1]
    assert list(found["programs"]) == ["reinsurance"]
    (folder / "claims.csv").unlink()
    said = refused("failsafes", folder, "--benefit-year", 2016, "--setting", "payout_rate=published")
    assert "no payout rate" in said["what"]


def test_claims_in_the_high_cost_risk_pool_alone(folder):
    claims = "risk_pool,issuer_id,enrollee_id,plan_paid\nindividual,11111,E1,1500000\n"
    found = document(put(folder, claims=claims, plan_rows=PLAN_ROWS), 2022)
    assert year_of(found, "11111") == {"transfers": "0.00", "high_cost_risk_pool": "150000.00"}
    assert year_of(found, "22222") == {"transfers": "0.00", "high_cost_risk_pool": "-150000.00"}
    assert any("--state" in note for note in found["notes"])


# ------------------------------------------------------------------------------------------------ bad input

TERMS = "from_usd,to_usd,share\n"
BAD = {
    "layers that overlap": ({"layers": TERMS + "10000,60000,0.5\n50000,90000,1\n"}, "OH", 2025, "REI-005"),
    "layers that run backwards": ({"layers": TERMS + "50000,90000,1\n10000,50000,0.5\n"}, "OH", 2025, "REI-005"),
    "cap below attachment": ({"layers": TERMS + "90000,10000,0.5\n"}, "OH", 2025, "REI-004"),
    "coinsurance above 1": ({"layers": TERMS + "10000,90000,1.5\n"}, "OH", 2025, "REI-006"),
    "a layer without a share": ({"layers": TERMS + "10000,90000,\n"}, "OH", 2025, "REI-004"),
    "claims below zero": ({"claims": CLAIMS.replace(",30000", ",-30000")}, "MD", 2022, "REI-003"),
    "a year without a program": ({}, "MD", 2035, "REI-008"),
    "no state in a year without the federal program": ({}, None, 2022, "REI-008"),
    "corridors of a year without them": ({"corridors": STATEMENT}, "MD", 2022, "COR-005"),
    "premium not above taxes": (
        {"corridors": STATEMENT.replace(",300000,", ",10000000,")},
        None,
        2014,
        "COR-004",
    ),
    "loss ratio: premium not above taxes": (
        {"loss_ratio_years": YEARS.replace(",9900000,", ",990000000,")},
        "MD",
        2022,
        "MLR",
    ),
    "life-years missing": ({"loss_ratio_years": YEARS.replace(",30000,3000", ",,3000")}, "MD", 2022, "MLR"),
    "a sample without strata": (
        {"audit_sample": SAMPLE.replace(",1,10,", ",,10,"), "audit_hccs": HCCS, "national_statistics": NATION},
        "WI",
        2019,
        "RDV-002",
    ),
    "more HCCs than the sample has people": (
        {
            "audit_sample": "",
            "audit_counts": "issuer_id,hcc,submitted_hccs,found_hccs\n11111,HCC008,100,250\n",
            "national_statistics": NATION,
        },
        "WI",
        2019,
        "RDV-013",
    ),
    "a year without audits": ({"audit_sample": SAMPLE, "audit_hccs": HCCS}, None, 2014, "RDV-016"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_with_its_rule(folder, tmp_path, what):
    tables, state, year, rule = BAD[what]
    put(folder, **{"claims": CLAIMS} | {name: text for name, text in tables.items() if text})
    options = [] if state is None else ["--state", state]
    out = tmp_path / "out"
    parts = refused("failsafes", folder, "--benefit-year", year, "--out", out, *options)
    assert rule in parts["rule"], parts
    assert not out.exists()


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("budget=0", "the budget cannot be"),
        ("coinsurance=1.2", "the coinsurance cannot be"),
        ("payout_rate=0.126", "is of risk corridors, which does not run here"),
        ("no_such=1", "no setting is called 'no_such'"),
        ("seed=1", "needs member_months"),
        ("member_months=many", "needs seed"),
    ],
)
def test_settings_that_cannot_be(folder, given, words):
    put(folder, claims=CLAIMS)
    assert words in refused("failsafes", folder, "--benefit-year", 2022, "--state", "MD", "--setting", given)["what"]


def test_a_folder_must_hold_a_program(folder):
    assert "nothing that a failsafe" in refused("failsafes", folder, "--benefit-year", 2014)["what"]
    put(folder, corridor_plans="issuer_id,plan_id,premium\n11111,A,1\n", claims=CLAIMS)
    assert (
        "corridor_plans.csv is there without corridors.csv"
        in refused("failsafes", folder, "--benefit-year", 2014)["what"]
    )
    assert "does not exist" in refused("failsafes", folder / "none", "--benefit-year", 2014)["what"]


def test_audits_of_2017_move_the_next_year(folder):
    put(folder, audit_sample=SAMPLE, audit_hccs=HCCS, national_statistics=NATION)
    assert "moves 2018" in refused("failsafes", folder, "--benefit-year", 2017)["what"]
    found = document(folder, 2017, "--setting", "results_applied_to=same_year")
    assert found["programs"]["radv_adjustment"]["issuers"][0]["error_rate"] == pytest.approx(0.2)


# ------------------------------------------------------------------------------------------------ statements


def test_only_the_individual_market_is_reinsured():
    rows = pl.DataFrame({"market": ["individual", "small_group"], "issuer_id": "1", "reinsurance_received": None})
    paid = pl.DataFrame({"market": ["individual"], "issuer_id": ["1"], "amount": [Decimal("5.25")]})
    notes = []
    found = with_statement(rows, "corridors", {"reinsurance_received": paid}, notes)
    assert found["reinsurance_received"].to_list() == [5.25, 0.0]
    assert len(notes) == 1


def test_other_years_of_a_statement_stay_as_they_are():
    rows = pl.DataFrame({"issuer_id": "1", "year": [2013, 2014], "reinsurance_received": [None, None]})
    paid = pl.DataFrame({"issuer_id": ["1"], "amount": [Decimal("5.25")]})
    found = with_statement(rows, "loss_ratio_years", {"reinsurance_received": paid}, [], year=2014)
    assert found["reinsurance_received"].to_list() == [None, 5.25]


# ------------------------------------------------------------------------------------------------ the demo


@pytest.mark.slow
def test_the_demo_reinsures(tmp_path, monkeypatch):
    monkeypatch.setattr("poolwise.cli._demo._drawn", lambda *_: [])
    monkeypatch.setattr("poolwise.cli._demo._filed", lambda *_: None)
    out = tmp_path / "demo"
    said = run("demo", "--out", out, "--enrollees", 600, "--seed", 5).stdout
    assert "what-if" in said
    assert "the layer is that of WI 2019" in said
    again = tmp_path / "again"
    run("failsafes", out / "failsafes", "--benefit-year", 2025, "--state", "OH", "--out", again)
    one, other = (pl.read_parquet(p / "reinsurance_issuers.parquet") for p in (out / "reinsured", again))
    assert one.equals(other)
