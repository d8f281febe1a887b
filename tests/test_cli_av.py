"""The command `poolwise av` as its users meet it: every form of designs, what it refuses, and what it leaves."""

import json
import random
from pathlib import Path

import av_designs
import plan_benefits_files as public
import polars as pl
import pytest
from commands import invoke, refused, run

import data_specs
import rating
from poolwise.cli import _av
from poolwise.cli._av_inputs import read_designs

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "av_designs"
SILVER = {"deductible_type": "integrated", "deductible": 3000, "plan_coinsurance": 0.7, "moop": 9000}
OFF = {"subject_to_deductible": False, "subject_to_coinsurance": False}
GOLD_TABLE = """design_id,deductible,plan_coinsurance,moop,service,subject_to_deductible,subject_to_coinsurance,copay
G,1000,0.8,5000,primary_care,no,no,25
G,,,,generic,no,no,10
"""

pytestmark = pytest.mark.usefixtures("plain_terminal", "undrawn")


@pytest.fixture
def undrawn(monkeypatch, request):
    """The page is drawn where it is looked at."""
    if "undrawn_charts" not in request.fixturenames:
        monkeypatch.setattr("poolwise.cli._av_results.ValueOutcome.draw", lambda *_: None)


@pytest.fixture
def write(tmp_path):
    """Writes a file of designs and returns its path."""

    def written(content, name="designs.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return written


def valued(*arguments, year=2026, code=0):
    """The JSON document of a run."""
    return json.loads(run("av", *arguments, "--plan-year", year, "--json", code=code).stdout)


def refusal(*arguments, year=2026):
    return refused("av", *arguments, "--plan-year", year)


def ids(document):
    return [row["design_id"] for row in document["designs"]]


# ------------------------------------------------------------------------------------------------ forms


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (SILVER, ["designs"]),
        ({**SILVER, "name": "A"}, ["A"]),
        ([SILVER, {**SILVER, "name": "B"}], ["designs 1", "B"]),
        ({"designs": [{"design_id": "C", **SILVER}]}, ["C"]),
        ({"format_version": 1, "cases": [{"id": "D", "av_year": 2026, "plan": SILVER, "expected": {}}]}, ["D"]),
        ({"plans": {"E": SILVER, "F": {"plan": SILVER}}}, ["E", "F"]),
        ([{**SILVER, "plan_id": "99999XX0010001"}], ["99999XX0010001"]),
    ],
)
def test_forms_of_json(write, content, names):
    document = valued(write(content))
    assert ids(document) == names
    expected = rating.actuarial_value(SILVER, plan_year=2026).designs["av"][0]
    assert [row["av"] for row in document["designs"]] == [expected] * len(names)
    assert (document["command"], document["exit_code"], document["out"]) == ("av", 0, None)


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx"])
def test_design_table(write, tmp_path, form):
    path = write(GOLD_TABLE, "gold.csv")
    if form != "csv":
        frame = pl.read_csv(path)
        path = tmp_path / f"gold.{form}"
        if form == "parquet":
            frame.write_parquet(path)
        else:
            pytest.importorskip("fastexcel")
            pytest.importorskip("xlsxwriter")
            frame.write_excel(path)
    mapping = {
        **{"deductible_type": "integrated", "deductible": 1000, "plan_coinsurance": 0.8, "moop": 5000},
        "services": {"primary_care": {"copay": 25, **OFF}, "generic": {"copay": 10, **OFF}},
    }
    expected = rating.actuarial_value(mapping, plan_year=2026).designs.row(0, named=True)
    (row,) = valued(path, code=0 if expected["in_range"] else 1)["designs"]
    assert (row["design_id"], row["av"]) == ("G", expected["av"])


@pytest.fixture
def public_files(tmp_path):
    """Three made-up plans as the public files write them."""
    rng = random.Random(11)
    plans = {f"99999XX001000{n}-01": public.design(rng, tiers=False) for n in range(3)}
    rows = [public.plan_cells(plan, plan_id) for plan_id, plan in plans.items()]
    cells = [cell for plan_id, plan in plans.items() for cell in public.benefit_cells(plan, plan_id)]
    places = tmp_path / "Plan_Attributes_PUF.csv", tmp_path / "Benefits_PUF.csv"
    for place, frame in zip(places, (rows, cells), strict=True):
        pl.DataFrame(frame, infer_schema_length=None).write_csv(place)
    return places


def test_public_use_files(public_files, tmp_path):
    attributes, benefits = public_files
    out = tmp_path / "out"
    document = valued(benefits, attributes, "--out", out, code=1)
    found = rating.designs_of_plan_benefits(pl.read_csv(attributes), pl.read_csv(benefits), plan_year=2026)
    assert found.design_ids
    assert ids(document) == found.design_ids
    expected = rating.actuarial_value(found.designs, plan_year=2026).designs["av_recomputed"].to_list()
    assert [row["av_recomputed"] for row in document["designs"]] == expected
    assert any("said in full" in note for note in document["notes"])
    assert {"plan_benefits.csv", "plan_benefits_problems.csv"} <= {path.name for path in out.iterdir()}


def test_public_use_files_come_in_pairs(public_files):
    for place in public_files:
        assert refusal(place)["what"] == "public use files of plans come in pairs"


def test_public_use_files_that_say_too_little(public_files):
    attributes, benefits = public_files
    plans = pl.read_csv(attributes, infer_schema=False)
    plans.with_columns(UniquePlanDesign=pl.lit("Yes")).write_csv(attributes)
    assert refusal(attributes, benefits)["what"] == "no plan of the files is said in full"


def test_several_files_are_one_result(write):
    document = valued(EXAMPLES / "designs.json", EXAMPLES / "workbook.csv", code=1)
    assert ids(document) == ["expanded bronze", "silver, a draft", "gold", "silver two deductibles"]
    assert document["designs"][0]["av"] == pytest.approx(0.641164683, abs=1e-8)
    assert document["counts"] == [{"table": "designs", "input": 4, "accepted": 4, "rejected": 0}]
    alone = valued(EXAMPLES / "designs.json", code=1)["findings"] + valued(EXAMPLES / "workbook.csv")["findings"]
    sums = {rule: sum(f["rows"] for f in alone if f["rule_id"] == rule) for rule in {f["rule_id"] for f in alone}}
    assert {f["rule_id"]: f["rows"] for f in document["findings"]} == sums
    twice = refusal(write(SILVER), EXAMPLES / "designs.json", write([{**SILVER, "name": "designs"}], "other.json"))
    assert twice["what"] == "design 'designs' stands twice"


def test_designs_of_another_year_are_left_out_and_said(write):
    cases = [{"id": year, "av_year": year, "plan": SILVER} for year in (2015, 2026)]
    document = valued(write(cases), code=3)
    assert ids(document) == ["2026"]
    assert document["notes"][-1] == "1 designs of designs.json are of another year and were left out"
    assert refusal(write([cases[0]]))["what"] == "no design is of plan year 2026"


def test_older_calculator(write):
    (row,) = valued(write({**SILVER, "table_metal": "silver"}), year=2016, code=1)["designs"]
    assert row["av_printed"] == round(row["av"], 4)
    assert row["av_status"] == "flagged"


# ------------------------------------------------------------------------------------------------ metal, screen, output


def test_metal_goes_to_designs_that_name_none(write):
    own, other = {**SILVER, "name": "own", "desired_metal": "silver"}, {**SILVER, "name": "other"}
    document = valued(write([own, other]), "--metal", "gold", code=0)
    flags = {row["design_id"]: "desired_metal_missed" in row["flags"] for row in document["designs"]}
    assert flags == {"own": False, "other": True}
    said_once = [
        line + cell for line, cell in zip(GOLD_TABLE.splitlines(), (",desired_metal", ",gold", ","), strict=True)
    ]
    for table, metal in (("\n".join(said_once), ["gold", None]), (GOLD_TABLE, ["silver", "silver"])):
        file = read_designs(write(table, "table.csv"), plan_year=2026, metal="silver")
        assert file.designs["desired_metal"].to_list() == metal


def test_legal_state_changes_the_window(write):
    low = {**SILVER, "deductible": 4500, "plan_coinsurance": 0.6, "name": "low", "desired_metal": "silver"}
    path = write(low)
    for state in ("in_force", "stayed_2025_08_22"):
        (row,) = valued(path, "--setting", f"legal_state={state}", code=1 if state == "in_force" else 0)["designs"]
        assert row["legal_state"] == state
    shown = run("av", path, "--plan-year", 2026, "--setting", "legal_state=stayed_2025_08_22").stdout
    assert "windows stayed 2025-08-22" in shown
    assert "Setting: legal_state = stayed_2025_08_22" in shown


def test_screen(write):
    shown = run("av", EXAMPLES / "designs.json", "--plan-year", 2026, code=1).stdout
    assert "64.12%" in shown
    assert "1.18 above" in shown
    assert "not the federal actuarial value calculator" in shown
    assert "limit within" in shown


@pytest.mark.slow
def test_folder(write, tmp_path, undrawn_charts):
    out = tmp_path / "out"
    shown = run("av", EXAMPLES / "designs.json", "--plan-year", 2026, "--out", out, "--format", "csv", code=1).stdout
    assert shown.splitlines()[-1] == f"Results: {out}"
    names = {"designs.csv", "findings.csv", "counts.csv", "settings.csv", "uncertain.csv", "manifest.json", "av.html"}
    assert names <= {path.name for path in out.iterdir()}
    held = pl.read_csv(out / "designs.csv")
    assert held["av"][0] == pytest.approx(0.641164683, abs=1e-8)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["command"] == "av"
    assert manifest["benefit_year"] == 2026
    assert [used["name"] for used in manifest["inputs"]] == ["designs.json"]
    assert "av/continuance" in {used["table"] for used in manifest["tables"]}
    assert "not the federal" in (out / "av.html").read_text(encoding="utf-8")


def test_folder_that_holds_the_input_is_refused(write, tmp_path):
    path = write(SILVER)
    said = refusal(path, "--out", tmp_path)
    assert str(tmp_path) in said["where"] + said["what"]
    assert path.exists()


def test_tables_of_ones_own(write, tmp_path):
    """A window that a user's table moves decides, and the manifest names the supplier."""
    (tmp_path / "own").mkdir()
    windows = data_specs.table("rating/metal_av_ranges")
    moved = (pl.col("plan_year") == 2026) & (pl.col("metal_level") == "silver") & (pl.col("legal_state") == "in_force")
    wide = windows.with_columns(de_minimis_high=pl.when(moved).then(9.0).otherwise("de_minimis_high"))
    wide.cast(pl.String).write_csv(tmp_path / "own" / "metal_av_ranges.csv")
    to, out = tmp_path / "tables", tmp_path / "out"
    run("tables", "add", tmp_path / "own", "--family", "rating", "--to", to)
    missed = {**SILVER, "deductible": 1500, "desired_metal": "silver"}
    assert valued(write(missed), code=1)["designs"][0]["metal_level"] is None
    assert valued(write(missed), "--tables", to, "--out", out)["designs"][0]["metal_level"] == "silver"
    used = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["tables"]
    assert [t["table"] for t in used if t["supplied_by"] == "user"] == ["rating/metal_av_ranges"]


# ------------------------------------------------------------------------------------------------ bad input


def bad(**changes):
    return {**SILVER, **changes}


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (bad(moop=2000), "the out-of-pocket limit is below the deductible"),
        (bad(deductible=-1), "out of range"),
        (bad(plan_coinsurance=30), "out of range"),
        (bad(services={"dentist": {"copay": 5}}), "'dentist' is not known"),
        (bad(deductable=1), "'deductable' is not known"),
        ({k: v for k, v in SILVER.items() if k != "moop"}, "'moop' is missing"),
        (bad(moop="9,000"), "a str stands where a number belongs"),
        (bad(services={"generic": {"copay": 5, "subject_to_deductible": "no"}}), "true or false"),
        (bad(options={"inpatient_copay_per_day": True}), "per day"),
        (bad(deductible_type="both"), "'both' is not known"),
    ],
)
def test_a_design_that_can_have_no_value_is_refused(write, plan, word):
    path = write({"name": "X", **plan})
    said = refusal(path)
    assert word in said["what"], said
    assert str(path) in said["where"]
    # Beside another it is a finding, and the other has its value.
    document = valued(write([{"name": "X", **plan}, {"name": "Y", **SILVER}]), code=1)
    assert [(row["design_id"], row["av"] is None) for row in document["designs"]] == [("X", True), ("Y", False)]
    assert document["counts"] == [{"table": "designs", "input": 2, "accepted": 1, "rejected": 1}]
    (row,) = document["refused"]["designs"]
    assert row["design_id"] == "X"
    assert word in row["what"]


@pytest.mark.parametrize(
    ("plan", "flag"),
    [
        (bad(moop=20_000), "moop_above_limit"),
        (bad(plan_coinsurance=0.3), "share_below_half"),
        (bad(services={"primary_care": {"copay": 25}}), "copay_without_flags"),
        (bad(services={"primary_care": {"copay": 9500, **OFF}}), "copay_above_moop"),
        (bad(services={"generic": {"copay": 8000, **OFF}}), "copay_implausible"),
    ],
)
def test_a_design_that_is_probably_not_meant_is_flagged(write, plan, flag):
    path = write({"name": "X", **plan})
    # Flagged whether or not it lies in its window.
    (row,) = json.loads(invoke("av", path, "--plan-year", 2026, "--json").stdout)["designs"]
    assert flag in row["flags"]
    assert row["av_status"] == "flagged"


def test_whose_share_is_a_setting(write):
    (plan,) = valued(write(bad(plan_coinsurance=0.7)))["designs"]
    (turned,) = valued(write(bad(plan_coinsurance=0.3)), "--setting", "coinsurance_is=enrollee")["designs"]
    assert turned["av"] == pytest.approx(plan["av"], abs=1e-12)
    assert "share_below_half" not in turned["flags"]


@pytest.fixture(scope="module")
def unsettled():
    """A design whose search cycles: next to nothing counts toward the deductible, everything else has a copay."""
    plans = av_designs.designs("mostly_exempt_copays", 60)
    found = rating.actuarial_value(plans, plan_year=2026).designs
    return plans[next(row for row, flags in enumerate(found["flags"].to_list()) if "unsettled" in flags)]


@pytest.mark.slow
def test_a_design_that_does_not_settle_has_no_value(write, unsettled):
    document = valued(write({"name": "X", **unsettled}), code=1)
    (row,) = document["designs"]
    assert (row["av"], row["converged"]) == (None, False)
    assert "unsettled" in row["flags"]
    assert "error" in [f["severity"] for f in document["findings"]]
    (row,) = valued(write({"name": "X", **unsettled}), "--setting", "unsettled=bisect", code=1)["designs"]
    assert row["av"] is not None
    assert "bisected" in row["flags"]


@pytest.mark.parametrize(
    ("content", "name", "what"),
    [
        ("{", "a.json", "the file is no JSON"),
        ('{"deductible_type": "integrated", "deductible": 1, "deductible": 2}', "a.json", "stands twice"),
        ('{"deductible": NaN}', "a.json", "NaN is no number of JSON"),
        ("[]", "a.json", "there is no design"),
        ("[1]", "a.json", "a int stands where a design belongs"),
        ("3", "a.json", "the document is a int"),
        ('{"a": 1}', "a.json", "no design that can be told"),
        ("[" * 100_000, "a.json", "nested too deeply"),
        ("x", "a.txt", "a file '.txt' is not read"),
        ("design_id,deductible,Deductible\nA,1,1\n", "a.csv", "stands twice"),
        ("design_id,deductable\nA,1\n", "a.csv", "'deductable' is not known"),
        ("", "a.csv", ""),
        ("no parquet", "a.parquet", ""),
        ("no workbook", "a.xlsx", ""),
    ],
)
def test_files_that_cannot_be_read(write, content, name, what):
    path = write(content, name)
    said = refusal(path)
    assert what in said["what"]
    assert path.name in said["where"]


def test_no_such_file(tmp_path):
    assert refusal(tmp_path / "nothing.json")["what"] == "there is no such file"


def test_year_without_tables(write):
    said = refusal(write(SILVER), year=2020)
    assert "2020" in said["what"]
    assert "2015-2016, 2026" in said["rule"]


def test_unknown_setting(write):
    assert "'unsettled'" in refusal(write(SILVER), "--setting", "unsettled=guess")["what"]
    assert refusal(write(SILVER), "--setting", "colour=red")["what"]


def test_levers_are_suggested_to_designs_that_miss(write):
    document = valued(EXAMPLES / "designs.json", code=1)
    levers = {row["lever"]: row for row in document["levers"]}
    assert set(levers) == {"deductible", "moop", "plan_coinsurance", "copay:primary_care", "copay:generic"}
    assert {row["design_id"] for row in document["levers"]} == {"silver, a draft"}
    plan = json.loads((EXAMPLES / "designs.json").read_text(encoding="utf-8"))["designs"][1]
    for name in ("deductible", "moop", "plan_coinsurance"):
        moved = rating.actuarial_value({**plan, name: levers[name]["value"]}, plan_year=2026).designs
        assert moved["in_range"].item(), name
        assert moved["av"].item() == pytest.approx(levers[name]["av"], abs=1e-12)
        assert levers[name]["value_now"] == plan[name]
    shown = run("av", EXAMPLES / "designs.json", "--plan-year", 2026, code=1).stdout
    assert "What would bring a design into its window" in shown


def test_a_design_that_no_lever_brings_in_is_told(write):
    nobody = {**SILVER, "name": "none", "csr_variant": "06", "deductible": 9000, "plan_coinsurance": 1.0}
    document = valued(write([nobody, {**SILVER, "name": "fits"}]), code=1)
    told = {row["lever"]: row["av"] for row in document["levers"]}
    assert told
    assert all((lever == "") == (av is None) for lever, av in told.items())


def test_target(write, tmp_path):
    out = tmp_path / "out"
    options = ("--target", "0.70", "--lever", "deductible", "--out", out, "--format", "csv")
    document = valued(write({**SILVER, "desired_metal": "silver"}), *options)
    (row,) = document["solved"]
    assert (document["target_av"], document["lever"], row["is_reached"]) == (0.7, "deductible", True)
    solved = {**SILVER, "table_metal": "silver", "deductible": row["value"]}
    assert rating.actuarial_value(solved, plan_year=2026).designs["av"].item() == pytest.approx(0.7, abs=5e-6)
    assert pl.read_csv(out / "solved.csv")["value"].to_list() == [row["value"]]
    shown = run("av", write(SILVER), "--plan-year", 2026, "--target", 0.7, "--lever", "copay:generic", code=3).stdout
    assert "The copay, generic at which the value is 70.00%" in shown


def test_a_target_that_cannot_be_reached_is_partial(write):
    document = valued(write({**SILVER, "desired_metal": "silver"}), "--target", 0.99, "--lever", "moop", code=3)
    assert document["solved"][0]["reason"] == "lever_unreachable"
    assert "AVC-123" in [f["rule_id"] for f in document["findings"]]


def test_lever_settings_and_values_have_one_list(write):
    document = valued(write(SILVER), "--setting", "round_to=1", "--target", 0.72, "--lever", "deductible")
    settings = {row["setting"]: (row["value"], row["source"]) for row in document["settings"]}
    assert settings["round_to"] == ("1.0", "given")
    assert settings["unsettled"] == ("null", "default")
    assert document["solved"][0]["value"] == int(document["solved"][0]["value"])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--target", 0.7, "--lever", "price"), "no lever is called 'price'"),
        (("--target", 0.7, "--lever", "copay:dentist"), "dentist"),
        (("--target", 70, "--lever", "moop"), "--target cannot be 70"),
    ],
)
def test_levers_that_cannot_be(tmp_path, options, word):
    # Before the file is looked at.
    assert word in refusal(tmp_path / "nothing.json", *options)["what"]


def test_only_so_many_designs_are_searched(write, monkeypatch):
    monkeypatch.setattr("poolwise.cli._av_levers.MOST_SUGGESTED", 1)
    missed = [{**SILVER, "name": name, "deductible": 1000, "desired_metal": "silver"} for name in ("A", "B")]
    document = valued(write(missed), code=1)
    assert {row["design_id"] for row in document["levers"]} == {"A"}
    assert any("the first 1 of 2 designs" in note for note in document["notes"])


def test_lever_and_target_go_together(write):
    for option in (("--target", "0.7"), ("--lever", "deductible")):
        said = run("av", write(SILVER), "--plan-year", 2026, *option, code=2)
        assert "a target needs a lever" in said.stderr


def test_read_setting():
    assert [_av.read_setting(text) for text in ("0.001", "64", "none", "bisect", True)] == [
        0.001, 64, None, "bisect", True,
    ]  # fmt: skip
