"""The installed tables: each keeps its contract, none is unlisted, and they say what the published documents say."""

import datetime
import itertools
import tomllib
from pathlib import Path

import polars as pl
import pytest

import data_specs
import riskadjust
from data_specs._contract import check_table, contract_from_entry, read_text
from data_specs.errors import NotYetPublished, TableMissing

PACKAGE = Path(data_specs.__file__).parent
ENTRIES = {
    f"{document['family']}/{entry['name']}": entry | {"family": document["family"]}
    for document in (tomllib.loads(p.read_text(encoding="utf-8")) for p in sorted((PACKAGE / "catalog").glob("*.toml")))
    for entry in document["table"]
}
SCORED_YEARS = (2018, 2019, 2021, 2022, 2023, 2024, 2025, 2026)
NEEDED = (
    *("coefficients", "csr_factors", "demographic_bands", "enrollment_duration_months", "hcc_hierarchy", "hcc_label"),
    *("hcpcs_to_rxc", "icd10_to_cc", "infant_model", "model_variables", "ndc_to_rxc", "rxc_hierarchy"),
)
BOOKKEEPING = {"verification", "note", "source_key", "release", "basis", "footnote"}


def table(name: str, **filters) -> pl.DataFrame:
    return data_specs.table(f"hhs_hcc/{name}", **filters)


def years_held(name: str) -> list[int]:
    return sorted(table(name)["benefit_year"].unique().to_list())


def by_year(name: str) -> dict[int, int]:
    return dict(table(name).group_by("benefit_year").len().sort("benefit_year").rows())


def score(year: int, birth: datetime.date, code: str = "E11.69", **options) -> riskadjust.Scores:
    day = datetime.date
    enrollees = pl.DataFrame({"enrollee_id": ["A"], "birth_date": [birth], "sex": ["M"]})
    spans = pl.DataFrame(
        {"enrollee_id": ["A"], "plan_id": ["12345XX0010001"], "csr_variant": ["01"], "metal_level": ["silver"]}
        | {"span_start": [day(year, 1, 1)], "span_end": [day(year, 12, 31)]}
    )
    diagnoses = pl.DataFrame({"enrollee_id": ["A"], "diagnosis_code": [code], "service_date": [day(year, 3, 1)]})
    return riskadjust.score(enrollees, spans, diagnoses, benefit_year=year, **options)


# ---- the catalog and the files ----


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_every_table_keeps_its_contract_and_digest(name):
    entry = ENTRIES[name]
    frame = data_specs.table(name)
    assert frame.columns == [column["name"] for column in entry["column"]]
    assert frame.height == entry["revision"][-1]["rows"]
    assert frame.select(pl.struct(entry["key"]).is_duplicated().any()).item() is False
    assert entry["source"].strip()
    contract = contract_from_entry(entry["family"], {k: v for k, v in entry.items() if k != "family"}, name)
    for revision in entry["revision"]:
        read = data_specs.table(name, revision=revision["id"])
        assert read.height == revision["rows"]
        # Reading trusts the digest of an installed file, so every cell is held to the contract here.
        path = PACKAGE / "tables" / entry["family"] / revision["file"]
        assert check_table(read_text(path), contract, path).equals(read)


def test_the_catalog_and_the_folder_hold_the_same_files():
    listed = {f"{entry['family']}/{revision['file']}" for entry in ENTRIES.values() for revision in entry["revision"]}
    tables = PACKAGE / "tables"
    assert {p.relative_to(tables).as_posix() for p in tables.rglob("*") if p.is_file()} == listed


def test_the_catalog_says_years_and_rows():
    lines = {row["name"]: row for row in data_specs.catalog().to_dicts()}
    assert sorted(lines) == sorted(ENTRIES)
    for name, line in lines.items():
        newest = ENTRIES[name]["revision"][-1]
        assert (line["rows"], line["years"], line["digest"]) == (newest["rows"], newest["years"], newest["digest"])
        assert line["supplied_by"] == "poolwise"
    assert lines["hhs_hcc/icd10_to_cc"]["years"] == "2018-2019, 2021-2026"
    assert lines["hhs_hcc/coefficients"]["years"] == "2016-2027"


def test_every_reference_points_to_a_row():
    for name, entry in ENTRIES.items():
        for column in entry["column"]:
            if not column.get("references"):
                continue
            other, _, key = column["references"].rpartition(".")
            years = [e.get("year_column") for e in (entry, ENTRIES[other])]
            on = [[column["name"]], [key]]
            if all(years):  # a year's rows point to rows of the same year
                on = [[year, *names] for year, names in zip(years, on, strict=True)]
            own = data_specs.table(name).drop_nulls(column["name"])
            assert own.join(data_specs.table(other), left_on=on[0], right_on=on[1], how="anti").height == 0, name


def test_no_two_tables_carry_the_same_fact():
    """Tables with one key share no row that both give a value of one name; published names may repeat, if equal."""
    compared = 0
    for (one, first), (other, second) in itertools.combinations(ENTRIES.items(), 2):
        if sorted(first["key"]) != sorted(second["key"]):
            continue
        values = [{c["name"] for c in entry["column"]} - set(entry["key"]) - BOOKKEEPING for entry in (first, second)]
        common = values[0] & values[1]
        both = data_specs.table(one).join(data_specs.table(other), on=first["key"], suffix="_other")
        compared += 1
        if not common or not both.height:
            continue
        assert common <= {"cms_variable"}, (one, other, common)
        names = [pl.col(c).str.to_uppercase() for c in ("cms_variable", "cms_variable_other")]
        assert both.filter(names[0] != names[1]).height == 0, (one, other)
    assert compared >= 2


# ---- what the published documents say ----


def test_row_counts():
    counts = {
        "acf_code_map": 84,
        "bundled_mother_infant_codes": 4_447,
        "claim_eligibility_rules": 18,
        "coefficients": 4_557,
        "csr_factors": 158,
        "demographic_bands": 336,
        "enrollment_duration_months": 108,
        "hcc_hierarchy": 1_665,
        "hcc_label": 1_230,
        "hcpcs_to_rxc": 407,
        "icd10_to_cc": 84_157,
        "included_service_codes": 38_083,
        "infant_model": 1_365,
        "model_variables": 2_048,
        "ndc_to_rxc": 104_167,
        "rxc_hierarchy": 92,
        "service_code_effective_dates": 21_109,
    }
    assert {name: table(name).height for name in counts} == counts


def test_hccs_and_their_hierarchy():
    assert by_year("hcc_label") == {year: 128 if year <= 2020 else 141 for year in range(2018, 2027)}
    assert by_year("hcc_hierarchy") == {year: 149 if year <= 2020 else 203 for year in range(2018, 2027)}
    pairs = table("hcc_hierarchy")
    first = pairs.filter(benefit_year=2021).select("hcc", "drops_hcc")
    for year in range(2022, 2027):
        assert pairs.filter(benefit_year=year).select("hcc", "drops_hcc").equals(first)


@pytest.mark.parametrize("year", range(2018, 2027))
def test_the_hierarchy_is_closed_and_has_no_circle(year):
    pairs = set(table("hcc_hierarchy", year=year).select("hcc", "drops_hcc").rows())
    implied = {(a, d) for a, b in pairs for c, d in pairs if b == c}
    assert implied <= pairs
    assert all(a != b for a, b in pairs)


def test_labels_that_changed_in_2025():
    old, new = (dict(table("hcc_label", year=y).select("hcc", "label").rows()) for y in (2024, 2025))
    assert {hcc for hcc in old if old[hcc] != new[hcc]} == {"HCC070", "HCC071"}


def test_the_code_set_of_2026():
    codes = {y: set(table("icd10_to_cc", year=y)["icd10"].to_list()) for y in (2025, 2026)}
    assert len(codes[2026]) == 11_315
    assert codes[2025] - codes[2026] == {"D71", "E7253", "G35", "Q898", "Q998"}
    assert codes[2026] <= codes[2025]
    assert table("icd10_to_cc", year=2026)["valid_fy_end"].null_count() == table("icd10_to_cc", year=2026).height


def test_the_crosswalk():
    rows = table("icd10_to_cc")
    assert sorted(rows["benefit_year"].unique()) == list(SCORED_YEARS)
    assert (
        rows.filter(pl.col("benefit_year") >= 2025).select("mce_sex_w1", "mce_sex_w2").null_count().row(0)
        == (rows.filter(pl.col("benefit_year") >= 2025).height,) * 2
    )
    assert rows.filter(pl.col("benefit_year") < 2025)["mce_sex_w1"].drop_nulls().len() > 0
    assert rows.filter(benefit_year=2019)["valid_fy_end"].drop_nulls().len() == 0
    assert set(rows.filter(benefit_year=2019)["verification"].unique()) == {"uncertain"}
    newborn = rows.filter(pl.col("cc").is_in([str(n) for n in range(242, 250)]), pl.col("benefit_year") >= 2021)
    twins = newborn.filter(pl.col("cc") == "247")
    assert newborn.filter(pl.col("split_age_max") != 0).height == 0
    assert newborn["split_age_max"].null_count() == 0
    assert twins.height > 0
    assert set(rows.filter(pl.col("cc_3").is_not_null())["icd10"].to_list()) == {"E1052"}


def test_every_category_of_the_crosswalk_is_a_payment_hcc_of_its_year():
    rows = table("icd10_to_cc")
    labels = table("hcc_label").select("benefit_year", "hcc")
    number, part = pl.col("cc").str.split("_").list.first().str.zfill(3), pl.col("cc").str.extract(r"(_[0-9])$")
    for column in ("cc", "cc_2", "cc_3"):
        own = rows.select("benefit_year", pl.col(column).alias("cc")).drop_nulls()
        own = own.with_columns(("HCC" + number + part.fill_null("")).alias("hcc"))
        assert own.join(labels, on=["benefit_year", "hcc"], how="anti").height == 0


def test_a_code_has_one_validity_and_its_branches_do_not_overlap():
    rows = table("icd10_to_cc")
    same = ["valid_fy_start", "valid_fy_end", "mce_age_min", "mce_age_max", "mce_sex_w1", "mce_sex_w2"]
    kinds = rows.group_by("benefit_year", "icd10").agg(pl.struct(same).n_unique().alias("kinds"))
    assert kinds["kinds"].max() == 1
    ends = rows.with_columns(pl.col("split_age_min").fill_null(0), pl.col("split_age_max").fill_null(255))
    pairs = ends.with_row_index().join(ends.with_row_index(), on=["benefit_year", "icd10"], suffix="_b")
    pairs = pairs.filter(
        pl.col("index") < pl.col("index_b"),
        pl.col("split_age_min") <= pl.col("split_age_max_b"),
        pl.col("split_age_min_b") <= pl.col("split_age_max"),
        (pl.col("split_sex") == pl.col("split_sex_b")).fill_null(True),
    )
    assert pairs.height == 0


def test_coefficients():
    rows = table("coefficients")
    counts = {2021: 388, 2022: 388, 2023: 405, 2024: 406, 2025: 404}
    assert {y: n for y, n in by_year("coefficients").items() if y in counts} == counts
    assert set(rows.filter(status="proposed")["benefit_year"].unique()) == {2027}
    assert set(rows.filter(status="final")["benefit_year"].unique()) == set(range(2016, 2027))
    spelled = rows.group_by("benefit_year", "model", pl.col("cms_variable").str.to_uppercase()).len()
    assert spelled["len"].max() == 1  # one published name is one variable


@pytest.mark.parametrize("year", range(2018, 2027))
def test_what_a_group_carries_its_members_do_not(year):
    members = table("model_variables", year=year).filter(pl.col("zeroes_member")).select("model", "member")
    inside = table("coefficients", year=year).join(members, left_on=["model", "variable"], right_on=["model", "member"])
    metals = ("platinum", "gold", "silver", "bronze", "catastrophic")
    assert inside.height == members.height
    assert inside.filter(pl.any_horizontal(pl.col(m) != 0 for m in metals)).height == 0
    outside = table("hcc_label", year=year)
    for model in ("adult", "child"):
        never = outside.filter(~pl.col(f"{model}_payment"))["hcc"].implode()
        own = table("coefficients", year=year).filter(pl.col("variable").is_in(never), model=model)
        assert own.filter(pl.any_horizontal(pl.col(m) != 0 for m in metals)).height == 0


def test_eras_of_the_rules():
    rules = table("model_variables")

    def years_of(variable: str, model: str = "adult") -> list[int]:
        return sorted(rules.filter(variable=variable, model=model)["benefit_year"].unique())

    assert years_of("SEVERE_V3") == list(range(2018, 2023))
    assert years_of("INT_GROUP_H") == list(range(2018, 2023))
    assert years_of("INT_GROUP_M") == [2018, 2019, 2020]
    assert years_of("ED_11") == list(range(2018, 2023))
    assert years_of("HCC_ED_1") == list(range(2023, 2027))
    assert years_of("SEVERE_COUNT_10_PLUS") == list(range(2023, 2027))
    assert years_of("SEVERE_COUNT_6_7", "child") == list(range(2023, 2027))
    assert years_of("G24") == [2024, 2025, 2026]
    assert years_of("G07A") == [2021, 2022, 2023, 2024]
    assert years_of("ACF_PREP") == years_of("ACF_PREP", "child") == [2026]
    assert years_of("RXC_12") == [2018]
    excluded = rules.filter(role="exclude")
    assert excluded.select("model", "member").unique().rows() == [("adult", "HCC022")]


def test_infant_levels():
    rows = table("infant_model")

    def level(year: int, hcc: str) -> str:
        return rows.filter(benefit_year=year, kind="severity_member", member=hcc)["variable"].item()

    assert (level(2024, "HCC070"), level(2025, "HCC070")) == ("SEVERITY2", "SEVERITY3")
    assert (level(2024, "HCC071"), level(2025, "HCC071")) == ("SEVERITY1", "SEVERITY2")
    assert {level(year, "HCC064") for year in range(2018, 2027)} == {"SEVERITY4"}
    for year in range(2018, 2027):
        own = rows.filter(benefit_year=year)
        assert own.filter(kind="combination").select("maturity", "severity").unique().height == 25
        assert own.filter(kind="severity_member")["member"].is_duplicated().any() is False
        payment = set(table("hcc_label", year=year).filter(pl.col("infant_payment"))["hcc"].to_list())
        levels = set(own.filter(pl.col("kind").str.ends_with("_member"))["member"].to_list()) - {"AGE_LAST=1"}
        assert levels <= payment
    assert rows.filter(benefit_year=2023, kind="severity_member").height == 116


def test_drugs():
    assert {y: table("rxc_hierarchy", year=y)["rxc"].n_unique() for y in range(2018, 2027)} == {
        year: 12 if year == 2018 else 10 for year in range(2018, 2027)
    }
    drops = table("rxc_hierarchy").drop_nulls("drops_rxc").select("rxc", "drops_rxc").unique().rows()
    assert drops == [("RXC_06", "RXC_07")]
    codes = table("ndc_to_rxc")
    with_letter = codes.filter(pl.col("ndc11").str.contains("[A-Z]"))["ndc11"].unique()
    assert with_letter.len() == 22
    assert with_letter.str.starts_with("00117A").all()
    gone = codes.filter(pl.col("in_first_release"), ~pl.col("in_latest_release"))
    assert dict(gone.group_by("benefit_year", "rxc").len().select("rxc", "len").rows()) == {"RXC_07": 12, "RXC_09": 2}
    assert codes.filter(~pl.col("in_first_release"), pl.col("in_latest_release")).height == 619
    assert set(codes.filter(benefit_year=2019)["verification"].unique()) == {"uncertain"}
    known = table("rxc_hierarchy").select("benefit_year", "rxc")
    for name in ("ndc_to_rxc", "hcpcs_to_rxc"):
        assert table(name).join(known, on=["benefit_year", "rxc"], how="anti").height == 0


def test_cost_factor_codes_of_2026():
    counts = table("acf_code_map").group_by("model", "code_type").len().sort("model", "code_type").rows()
    assert counts == [("adult", "hcpcs", 5), ("adult", "ndc", 37), ("child", "hcpcs", 5), ("child", "ndc", 37)]


def test_cost_sharing_factors():
    rows = table("csr_factors")

    def factors(year: int, variant: str) -> dict[str, float]:
        return dict(rows.filter(benefit_year=year, hios_variant=variant).select("metal", "factor").rows())

    old = {"platinum": 1.0, "gold": 1.07, "silver": 1.12, "bronze": 1.15}
    for year in range(2018, 2025):
        assert factors(year, "02") == factors(year, "03") == old
    for year in (2025, 2026):
        assert factors(year, "02") == {"platinum": 1.31, "gold": 1.39, "silver": 1.46, "bronze": 1.51}
        assert factors(year, "03") == {"platinum": 1.04, "gold": 1.1, "silver": 1.15, "bronze": 1.19}
    for year in range(2018, 2027):
        assert factors(year, "06") == factors(year, "05") == {"silver": 1.12}
        assert factors(year, "04") == {"silver": 1.0}
        by_indicator = rows.filter(benefit_year=year).drop_nulls("csr_indicator").group_by("csr_indicator")
        assert by_indicator.agg(pl.col("factor").n_unique())["factor"].max() == 1


def test_durations_are_the_same_every_year_and_cover_it():
    cuts = [31, 62, 92, 123, 153, 184, 214, 245, 275, 306, 335, 366]
    for year in range(2018, 2027):
        rows = table("enrollment_duration_months", year=year).sort("enroll_months")
        assert rows["days_max"].to_list() == cuts
        assert rows["days_min"].to_list() == [1, *[cut + 1 for cut in cuts[:-1]]]


def test_bundled_codes():
    own = table("bundled_mother_infant_codes", year=2019)
    assert dict(own.group_by("side").len().rows()) == {"infant": 72, "mother": 499}
    assert set(own["basis"].unique()) == {"published"}
    unmapped = own.join(table("icd10_to_cc", year=2019), on="icd10", how="anti")
    assert unmapped["icd10"].to_list() == ["O860"]


def test_service_codes_and_claim_rules():
    assert years_held("included_service_codes") == list(range(2020, 2026))
    types = table("claim_eligibility_rules").drop_nulls("bill_type")
    exact = types.filter(match="exact", verification="verified")["bill_type"].to_list()
    assert {"111", "117", "131", "137", "771", "777", "851", "857"} <= set(exact)
    no_code_needed = types.filter(~pl.col("needs_eligible_service_code"))
    assert set(no_code_needed["claim_class"].unique()) == {"institutional_inpatient"}


def test_bands_give_every_variable_a_coefficient():
    scored = table("demographic_bands").filter(pl.col("in_score"), pl.col("model") != "infant")
    held = table("coefficients").select("benefit_year", "model", "variable")
    assert scored.join(held, on=["benefit_year", "model", "variable"], how="anti").height == 0


# ---- years that score, and years that do not ----


@pytest.mark.parametrize("year", SCORED_YEARS)
@pytest.mark.parametrize(("age", "model"), [(45, "adult"), (10, "child"), (0, "infant")])
def test_every_complete_year_scores(year, age, model):
    result = score(year, datetime.date(year - age, 1, 1))
    row = result.scores.row(0, named=True)
    assert (row["model"], row["age_last"], row["enrollment_months"]) == (model, age, 12)
    assert row["risk_score"] > 0
    assert {f"hhs_hcc/{name}" for name in NEEDED} <= set(result.tables)


@pytest.mark.parametrize("year", [2013, 2014, 2015, 2016, 2017, 2020, 2028])
def test_an_incomplete_year_names_the_missing_tables(year):
    missing = {f"hhs_hcc/{name}" for name in NEEDED if year not in years_held(name)}
    assert missing
    with pytest.raises(TableMissing) as caught:
        score(year, datetime.date(1980, 1, 1))
    message = str(caught.value)
    said = {f"hhs_hcc/{name}" for name in NEEDED if f"hhs_hcc/{name}" in message}
    assert said == missing
    assert str(year) in message
    assert "2018-2019, 2021-2026" in message


def test_what_2020_lacks():
    with pytest.raises(TableMissing, match="hhs_hcc/hcpcs_to_rxc, hhs_hcc/icd10_to_cc, hhs_hcc/ndc_to_rxc"):
        score(2020, datetime.date(1980, 1, 1))


def test_a_proposed_year_is_scored_only_knowingly():
    with pytest.raises(NotYetPublished, match=r"2027.*proposed.*allow_proposed"):
        score(2027, datetime.date(1980, 1, 1))
    result = score(2027, datetime.date(1980, 1, 1), settings={"allow_proposed": True})
    assert result.scores["risk_score"].item() > 0
    listed = dict(result.uncertain.select("table", "what").filter(pl.col("what").str.contains("carried from")).rows())
    carried = {f"hhs_hcc/{name}" for name in NEEDED if 2027 not in years_held(name)}
    assert carried <= set(listed)
    assert set(listed) - carried <= {"hhs_hcc/acf_code_map", "hhs_hcc/bundled_mother_infant_codes"}
    assert set(listed.values()) == {"table carried from benefit year 2026"}
    assert "coefficients of a proposed rule" in result.uncertain["what"].to_list()
    assert result.findings.filter(rule_id="HCC-050")["rows"].item() == 1


def test_a_published_year_is_not_changed_by_allowing_proposed_ones():
    plain, allowed = (score(2025, datetime.date(1980, 1, 1), settings={"allow_proposed": a}) for a in (False, True))
    assert plain.scores.equals(allowed.scores)
    assert allowed.uncertain.height == 0
