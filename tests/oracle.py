"""The slow, obvious twin of the HHS-HCC score: dicts, sets and loops, one small function per published step.

It is written from the rules and the tables alone and imports no code of the product, so that agreement between the two
means something. Order of work: clean codes, diagnosis list, age facts, diagnosis -> CC, CC -> HCC, hierarchy, model
exclusions, RXC and RXC hierarchy, model variables step by step (severity, RXC interactions, cost factor, groups,
counts, durations), infant grid, coefficients, cost-sharing factor, one row per plan, variant and metal level.

Every cell of a table is read as text, and scores are whole thousandths, so nothing here can round by accident.
"""

import csv
import functools
import importlib.resources
from collections import defaultdict
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import polars as pl

METALS = ("platinum", "gold", "silver", "bronze", "catastrophic")
MODELS = ("adult", "child", "infant")
DEFAULTS: dict[str, Any] = {
    "duration_scope": "issuer_market",
    "person_scope": "issuer_market",
    "leap_birthday": "march_1",
    "unknown_fiscal_year": "carry",
    "drug_list_release": "latest",
    "adjusted_score_rounding": "none",
    "mce_sex_fourth_quarter": "table",
}
SEX_WORD = {"M": "male", "F": "female"}


# ---- tables ----


def installed_folder() -> Path:
    """Folder of the HHS-HCC tables inside the installed data_specs package."""
    return Path(str(importlib.resources.files("data_specs") / "tables" / "hhs_hcc"))


@functools.cache
def read_csv(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Benefit year -> rows of one CSV table."""
    by_year = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            by_year[row["benefit_year"]].append({column: cell or None for column, cell in row.items()})
    return by_year


def read_parquet(path: Path, benefit_year: int) -> list[dict[str, Any]]:
    """The rows of one benefit year of a Parquet table, every cell as text: numbers as printed, true, false."""
    is_of_year = pl.col("benefit_year").cast(pl.String) == str(benefit_year)
    return pl.read_parquet(path).filter(is_of_year).select(pl.all().cast(pl.String).replace("", None)).to_dicts()


def read_rows(folder: Path, name: str, benefit_year: int) -> list[dict[str, str | None]]:
    """All rows of one table for one benefit year, every cell as text; a blank one is None."""
    as_csv = folder / f"{name}.csv"
    if as_csv.exists():
        return read_csv(as_csv).get(str(benefit_year), [])
    return read_parquet(folder / f"{name}.parquet", benefit_year)


def thousandths(published: str) -> int:
    """Whole thousandths of a published coefficient, rounded half up where more than three decimals are printed."""
    return int((Decimal(published) * 1000).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def hcc_name(cc: str) -> str:
    """HCC035_1 for the CC "35_1"."""
    number, _, part = cc.partition("_")
    return "HCC" + number.zfill(3) + (f"_{part}" if part else "")


def short_name(hcc: str) -> str:
    """035_1 for HCC035_1, 06 for RXC_06: the form of the output lists."""
    return hcc.removeprefix("HCC").removeprefix("RXC_")


def grouped_rules(rows: list[dict[str, str | None]]) -> dict[str, list[tuple[int, list[dict[str, Any]]]]]:
    """Model -> steps in order -> the rules of that step, a rule being a variable with its clauses."""
    rules: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        rule = rules.setdefault(
            (row["model"], row["variable"]),
            {
                "variable": row["variable"],
                "step": int(row["step"]),
                "kind": row["kind"],
                "zeroes": [],
                "in_score": row["in_score"] == "true",
                "clauses": defaultdict(list),
                "excluded": [],
            },
        )
        assert rule["step"] == int(row["step"]), f"{row['variable']} has two steps"
        if row["role"] == "exclude":
            rule["excluded"].append(row["member"])
            continue
        value = None if row["value"] is None else int(row["value"])
        rule["clauses"][row["clause"]].append((row["member"], row["op"], value))
        if row["zeroes_member"] == "true":
            rule["zeroes"].append(row["member"])
    by_model: dict[str, list[tuple[int, list[dict[str, Any]]]]] = {}
    for model in MODELS:
        steps = defaultdict(list)
        for (owner, _), rule in rules.items():
            if owner == model:
                steps[rule["step"]].append(rule)
        by_model[model] = sorted(steps.items())
    return by_model


@functools.cache
def load_tables(benefit_year: int, folder: Path | str | None = None) -> dict[str, Any]:
    """Every table the score of one benefit year needs, as plain dicts and sets; read once, not to be changed."""
    folder = installed_folder() if folder is None else Path(folder)

    def rows(name: str) -> list[dict[str, Any]]:
        return read_rows(folder, name, benefit_year)

    crosswalk, hierarchy, drops_rxc = defaultdict(list), defaultdict(set), defaultdict(set)
    for row in rows("icd10_to_cc"):
        crosswalk[row["icd10"]].append(row)
    for row in rows("hcc_hierarchy"):
        hierarchy[row["hcc"]].add(row["drops_hcc"])
    for row in rows("rxc_hierarchy"):
        if row["drops_rxc"]:
            drops_rxc[row["rxc"]].add(row["drops_rxc"])
    drug_codes = [("ndc", row["ndc11"], row) for row in rows("ndc_to_rxc")]
    drug_codes += [("hcpcs", row["hcpcs"], row) for row in rows("hcpcs_to_rxc")]
    rxc_by_code: dict[str, Any] = {"latest": defaultdict(set), "first": defaultdict(set)}
    for code_type, code, row in drug_codes:
        for release in ("latest", "first"):
            if row[f"in_{release}_release"] == "true":
                rxc_by_code[release][code_type, code].add(row["rxc"])
    cost_factor_by_code = {model: defaultdict(set) for model in MODELS}
    for row in rows("acf_code_map"):
        cost_factor_by_code[row["model"]][row["code_type"], row["code"]].add(row["variable"])
    coefficients: dict[str, dict[str, Any]] = {model: {} for model in MODELS}
    for row in rows("coefficients"):
        milli = {metal: thousandths(row[metal]) for metal in METALS}
        coefficients[row["model"]][row["variable"]] = {"name": row["cms_variable"].upper(), "milli": milli}
    labels = rows("hcc_label")
    return {
        "benefit_year": benefit_year, "crosswalk": dict(crosswalk), "hierarchy": dict(hierarchy),
        "payment": {model: {row["hcc"] for row in labels if row[f"{model}_payment"] == "true"} for model in MODELS},
        "bands": rows("demographic_bands"), "rules": grouped_rules(rows("model_variables")),
        "infant": rows("infant_model"), "drops_rxc": dict(drops_rxc), "rxc_by_code": rxc_by_code,
        "cost_factor_by_code": cost_factor_by_code, "coefficients": coefficients,
        "csr": rows("csr_factors"), "duration": rows("enrollment_duration_months"),
    }  # fmt: skip


# ---- age facts ----


def clean_code(code: str | None) -> str:
    """Trimmed, upper case, without the dot."""
    return (code or "").strip().upper().replace(".", "")


def clean_drug_code(code: str | None) -> str:
    """Trimmed, upper case, without hyphens. A shortened NDC is not padded: which zero is missing is not known."""
    return (code or "").strip().upper().replace("-", "")


def completed_years(birth_date: date, on: date, leap_birthday: str) -> int:
    """Completed years of age on a day; negative before birth. A birthday of 29 February moves in common years."""
    month, day = birth_date.month, birth_date.day
    is_leap_year = on.year % 4 == 0 and (on.year % 100 != 0 or on.year % 400 == 0)
    if (month, day) == (2, 29) and not is_leap_year:
        month, day = (3, 1) if leap_birthday == "march_1" else (2, 28)
    return on.year - birth_date.year - ((on.month, on.day) < (month, day))


def enrolled_part(span: dict[str, Any], benefit_year: int) -> tuple[date, date] | None:
    """First and last day of a span within the benefit year; None when it lies outside."""
    first = max(span["span_start"], date(benefit_year, 1, 1))
    last = min(span["span_end"], date(benefit_year, 12, 31))
    return (first, last) if first <= last else None


def enrolled_days(spans: list[dict[str, Any]], benefit_year: int) -> int:
    """Days enrolled in the benefit year, both ends of each span counted."""
    days: set[int] = set()
    for span in spans:
        first, last = enrolled_part(span, benefit_year)
        days.update(range(first.toordinal(), last.toordinal() + 1))
    return len(days)


def duration_months(tables: dict[str, Any], days: int) -> int:
    """ENROLDURATION for a number of enrolled days."""
    for row in tables["duration"]:
        if int(row["days_min"]) <= days <= int(row["days_max"]):
            return int(row["enroll_months"])
    raise ValueError(f"no duration for {days} days")


def within(value: int, lowest: str | None, highest: str | None) -> bool:
    """Whether lowest <= value <= highest, an absent bound being open."""
    return (lowest is None or value >= int(lowest)) and (highest is None or value <= int(highest))


def model_of_age(tables: dict[str, Any], age_last: int) -> str:
    """The model whose demographic bands cover the age."""
    for row in tables["bands"]:
        if within(age_last, row["age_min"], row["age_max"]):
            return row["model"]
    raise ValueError(f"no model for age {age_last}")


# ---- diagnosis -> CC ----


def date_status(benefit_year: int, birth_date: date, age_last: int, service_date: date | None, leap: str) -> str:
    """The word "counts", or the reason why the date of a diagnosis does not let it count."""
    if service_date is None:
        return "date_missing"
    if service_date.year != benefit_year:
        return "date_outside_year"
    if service_date < birth_date:
        return "before_birth"
    age_at_diagnosis = completed_years(birth_date, service_date, leap)
    if age_at_diagnosis > age_last:
        return "after_age_last"
    if age_last - age_at_diagnosis > 1:
        return "more_than_a_year_before_age_last"
    return "counts"


def row_status(row: dict[str, Any], sex: str, age_last: int, age_at_diagnosis: int, day: date, settings: dict) -> str:
    """The word "accepted", or the first test of one crosswalk row that fails."""
    is_fourth_quarter = day.month >= 10
    valid = row["valid_fy_end"] if is_fourth_quarter else row["valid_fy_start"]
    if is_fourth_quarter and valid is None and settings["unknown_fiscal_year"] == "carry":
        valid = row["valid_fy_start"]
    if valid != "true":
        return "not_valid_in_fiscal_year"
    if not within(age_at_diagnosis, row["mce_age_min"], row["mce_age_max"]):
        return "mce_age"
    sex_condition = row["mce_sex_w2"] if is_fourth_quarter else row["mce_sex_w1"]
    if is_fourth_quarter and settings["mce_sex_fourth_quarter"] == "none":
        sex_condition = None
    if sex_condition not in (None, SEX_WORD[sex]):
        return "mce_sex"
    if not within(age_last, row["split_age_min"], row["split_age_max"]):
        return "no_branch"
    return "accepted" if row["split_sex"] in (None, SEX_WORD[sex]) else "no_branch"


def assign_ccs(
    tables: dict[str, Any], birth_date: date, sex: str, age_last: int, diagnoses: list[dict], settings: dict
) -> tuple[set[str], list[str]]:
    """The HCCs of all accepted rows (before the hierarchy), and the status of each diagnosis in order."""
    hccs: set[str] = set()
    statuses = []
    for diagnosis in diagnoses:
        day, leap = diagnosis["service_date"], settings["leap_birthday"]
        status = date_status(tables["benefit_year"], birth_date, age_last, day, leap)
        if status != "counts":
            statuses.append(status)
            continue
        candidates = tables["crosswalk"].get(clean_code(diagnosis["diagnosis_code"]), [])
        if not candidates:
            statuses.append("no_crosswalk_row")
            continue
        age_at_diagnosis = completed_years(birth_date, day, leap)
        results = [row_status(row, sex, age_last, age_at_diagnosis, day, settings) for row in candidates]
        for row, result in zip(candidates, results, strict=True):
            if result == "accepted":
                hccs.update(hcc_name(row[column]) for column in ("cc", "cc_2", "cc_3") if row[column])
        statuses.append("accepted" if "accepted" in results else results[0])
    return hccs, statuses


# ---- CC -> HCC ----


def apply_hierarchy(tables: dict[str, Any], hccs: set[str]) -> set[str]:
    """The HCCs without those that a present parent drops."""
    dropped = {child for hcc in hccs for child in tables["hierarchy"].get(hcc, ())}
    return hccs - dropped


def apply_model_exclusions(tables: dict[str, Any], model: str, hccs: set[str]) -> set[str]:
    """The HCCs that are payment HCCs of the model."""
    return hccs & tables["payment"][model]


# ---- drugs ----


def drug_keys(benefit_year: int, drugs: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """(code type, clean code) of the drugs of the year; a layout without fill dates has none to test."""
    keys = set()
    for drug in drugs:
        if "service_date" in drug and (drug["service_date"] is None or drug["service_date"].year != benefit_year):
            continue
        keys.add((drug["code_type"], clean_drug_code(drug["code"])))
    return keys


def map_rxcs(tables: dict[str, Any], keys: set[tuple[str, str]], release: str) -> set[str]:
    """Every RXC that some NDC or HCPCS code maps to."""
    return {rxc for key in keys for rxc in tables["rxc_by_code"][release].get(key, ())}


def apply_rxc_hierarchy(tables: dict[str, Any], rxcs: set[str]) -> set[str]:
    """The RXCs without those that a present RXC drops."""
    return rxcs - {child for rxc in rxcs for child in tables["drops_rxc"].get(rxc, ())}


# ---- model variables ----


def clause_holds(rows: list[tuple], variable: str, values: dict[str, int], coded: set[str]) -> bool:
    """Whether one row of the clause holds."""
    for member, op, value in rows:
        have = values.get(member, 0)
        if op == "any":
            holds = variable in coded
        elif op == "eq":
            holds = have == value
        elif op == "ge":
            holds = have >= value
        elif op == "gt":
            holds = have > value
        elif op == "le":
            holds = have <= value
        else:
            raise ValueError(f"unknown op {op}")
        if holds:
            return True
    return False


def count_hccs(rule: dict[str, Any], hccs: set[str], groups: set[str]) -> int:
    """HCC_COUNT: set HCCs and set groups, less the excluded HCCs."""
    members = {member for rows in rule["clauses"].values() for member, _, _ in rows}
    assert members == {"ANY_PAYMENT_HCC_NOT_IN_GROUP", "ANY_GROUP"}, members
    return len(hccs - set(rule["excluded"])) + len(groups)


def model_variables(
    tables: dict[str, Any], model: str, hccs: set[str], coded: set[str], age_last: int, months: int
) -> tuple[dict[str, int], set[str], set[str]]:
    """Variables of all steps with their values, the HCCs left after grouping, and the names to be scored.

    `coded` holds the names that some drug code maps to (after the RXC hierarchy). All rules of a step are evaluated on
    the state before that step.
    """
    values = dict.fromkeys(hccs, 1) | {"AGE_LAST": age_last, "ENROLL_MONTHS": months}
    left, groups, scored = set(hccs), set(), set()
    for _, rules in tables["rules"][model]:
        found: dict[str, int] = {}
        for rule in rules:
            variable = rule["variable"]
            if rule["kind"] == "hcc_count":
                found[variable] = count_hccs(rule, left, groups)
                continue
            clauses = rule["clauses"].values()
            found[variable] = int(all(clause_holds(rows, variable, values, coded) for rows in clauses))
        for rule in rules:
            variable = rule["variable"]
            values[variable] = found[variable]
            if not found[variable] or rule["kind"] == "hcc_count":
                continue
            if rule["kind"] == "hcc_group":
                groups.add(variable)
            if rule["in_score"]:
                scored.add(variable)
            for member in rule["zeroes"]:
                values[member] = 0
                left.discard(member)
    return values, left, scored


def demographic_variable(tables: dict[str, Any], model: str, sex: str, age_last: int) -> set[str]:
    """The age and sex variable of an adult or child."""
    return {
        row["variable"]
        for row in tables["bands"]
        if row["model"] == model and row["sex"] == sex and within(age_last, row["age_min"], row["age_max"])
        and row["in_score"] == "true"
    }  # fmt: skip


# ---- infant grid ----


def infant_level(tables: dict[str, Any], kind: str, hccs: set[str], sex: str, age_last: int) -> str:
    """The strongest severity or maturity among the rows that apply; the default row when none does."""

    def applies(row: dict[str, Any]) -> bool:
        has_member = not str(row["member"]).startswith("HCC") or row["member"] in hccs
        return has_member and within(age_last, row["age_min"], row["age_max"]) and row["sex"] in (None, sex)

    rows = [row for row in tables["infant"] if row["kind"] == f"{kind}_member" and applies(row)]
    if rows:
        return min(rows, key=lambda row: int(row["rank"]))["variable"]
    defaults = [
        row["variable"]
        for row in tables["infant"]
        if row["kind"] == f"{kind}_default" and within(age_last, row["age_min"], row["age_max"])
    ]
    assert len(defaults) == 1, (kind, age_last, defaults)
    return defaults[0]


def infant_grid(tables: dict[str, Any], hccs: set[str], sex: str, age_last: int) -> set[str]:
    """The maturity x severity variable, and the male age factor."""
    maturity = infant_level(tables, "maturity", hccs, sex, age_last)
    severity = infant_level(tables, "severity", hccs, sex, age_last)
    variables = set()
    for row in tables["infant"]:
        if row["kind"] not in ("combination", "demographic"):
            continue
        conditions = (
            within(age_last, row["age_min"], row["age_max"]),
            row["sex"] in (None, sex),
            row["maturity"] in (None, maturity),
            row["maturity_not"] is None or row["maturity_not"] != maturity,
            row["severity"] in (None, severity),
        )
        if all(conditions):
            variables.add(row["variable"])
    return variables


# ---- score ----


def add_coefficients(tables: dict[str, Any], model: str, variables: set[str]) -> tuple[dict[str, int], dict[str, dict]]:
    """Thousandths per metal, and the published name and coefficients of every variable that has a row."""
    rows = [tables["coefficients"][model][name] for name in sorted(variables) if name in tables["coefficients"][model]]
    milli = {metal: sum(row["milli"][metal] for row in rows) for metal in METALS}
    return milli, {row["name"]: row["milli"] for row in rows}


def score_facts(
    tables: dict[str, Any], *, birth_date: date, sex: str, age_last: int, months: int,
    diagnoses: list[dict], drugs: list[dict], settings: dict,
) -> dict[str, Any]:  # fmt: skip
    """Everything that does not depend on plan, metal or variant."""
    model = model_of_age(tables, age_last)
    assigned, statuses = assign_ccs(tables, birth_date, sex, age_last, diagnoses, settings)
    hccs = apply_hierarchy(tables, assigned)
    model_hccs = apply_model_exclusions(tables, model, hccs)
    keys = drug_keys(tables["benefit_year"], drugs)
    mapped = map_rxcs(tables, keys, settings["drug_list_release"])
    rxcs = apply_rxc_hierarchy(tables, mapped)
    count = None
    if model == "infant":
        variables = infant_grid(tables, model_hccs, sex, age_last)
    else:
        cost_factors = {name for key in keys for name in tables["cost_factor_by_code"][model].get(key, ())}
        values, left, scored = model_variables(tables, model, model_hccs, rxcs | cost_factors, age_last, months)
        variables = left | scored | demographic_variable(tables, model, sex, age_last)
        count = values.get("HCC_COUNT")
    milli, contributions = add_coefficients(tables, model, variables)
    return {
        "model": model, "age_last": age_last, "enrollment_months": months, "hcc_count": count, "milli": milli,
        "hccs": sorted(short_name(hcc) for hcc in hccs),
        "rxcs": sorted(short_name(rxc) for rxc in (rxcs if model == "adult" else mapped)),
        "variables": sorted(contributions), "contributions": contributions, "diagnosis_status": statuses,
    }  # fmt: skip


def score_metal(metal_level: str) -> str:
    """The metal whose coefficients apply: expanded bronze scores as bronze."""
    return "bronze" if metal_level == "expanded_bronze" else metal_level


def csr_factor(rows: list[dict[str, Any]], metal: str | None) -> Decimal | None:
    """The published factor of the rows that fit the metal (None: of all rows); None when there is none."""
    factors = {Decimal(row["factor"]) for row in rows if metal is None or row["metal"] in ("any", metal)}
    assert len(factors) <= 1, factors
    return factors.pop() if factors else None


def priced(facts: dict[str, Any], metal_level: str, factor: Decimal | None, settings: dict) -> dict[str, Any]:
    """The facts of a person with the score of one metal level and cost-sharing factor."""
    metal = score_metal(metal_level)
    adjusted = None if factor is None else Decimal(facts["milli"][metal]) / 1000 * factor
    if adjusted is not None and settings["adjusted_score_rounding"] == "three_decimals":
        adjusted = adjusted.quantize(Decimal("0.001"), rounding=ROUND_HALF_UP)
    scores = {f"score_{name}": value / 1000 for name, value in facts["milli"].items()}
    return (
        facts
        | scores
        | {
            "metal_level": metal_level,
            "risk_milli": facts["milli"][metal],
            "risk_score": facts["milli"][metal] / 1000,
            "csr_factor": None if factor is None else float(factor),
            "csr_adjusted_score": None if adjusted is None else float(adjusted),
        }
    )


# ---- person ----


def person_scope_of(record: dict[str, Any]) -> tuple[Any, Any]:
    """Issuer and market of a span, diagnosis or drug; the issuer of a span without the column is in its plan id."""
    issuer = record.get("issuer_id") or (record["plan_id"][:5] if "plan_id" in record else None)
    return issuer, record.get("market")


def scopes_of(spans: list[dict[str, Any]], settings: dict) -> dict[Any, list[dict[str, Any]]]:
    """Spans by the scope within which age, days and diagnoses of a person are taken."""
    scopes = defaultdict(list)
    for span in spans:
        person = person_scope_of(span) if settings["person_scope"] == "issuer_market" else ()
        plan = span["plan_id"] if settings["duration_scope"] == "plan" else ()
        scopes[person, plan].append(span)
    return scopes


def records_of_scope(records: list[dict[str, Any]], person: tuple, people: set) -> list[dict[str, Any]]:
    """The diagnoses or drugs of one scope: all of them when the person has one scope and they name none."""
    if person == () or (len(people) == 1 and not any("issuer_id" in record for record in records)):
        return records
    return [record for record in records if person_scope_of(record) == person]


def score_person(
    tables: dict[str, Any], *, birth_date: date, sex: str, spans: list[dict], diagnoses: list[dict],
    drugs: list[dict], settings: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """One dict per plan_id x csr_variant x metal_level, sorted by that key."""
    chosen = DEFAULTS | (settings or {})
    year = tables["benefit_year"]
    spans = [span for span in spans if enrolled_part(span, year)]
    people = {person_scope_of(span) for span in spans}
    is_divided = chosen["person_scope"] == "issuer_market" and len(people) > 1
    if is_divided and not all("issuer_id" in record for record in [*diagnoses, *drugs]):
        return []  # nobody can tell whose diagnoses these are
    rows = []
    for (person, _), own in scopes_of(spans, chosen).items():
        last_day = max(enrolled_part(span, year)[1] for span in own)
        days = enrolled_days(own, year)
        facts = score_facts(
            tables, birth_date=birth_date, sex=sex, months=duration_months(tables, days), settings=chosen,
            age_last=completed_years(birth_date, last_day, chosen["leap_birthday"]),
            diagnoses=records_of_scope(diagnoses, person, people), drugs=records_of_scope(drugs, person, people),
        )  # fmt: skip
        facts["enrollment_days"] = days
        for plan_id, variant, metal_level in {
            (span["plan_id"], span["csr_variant"], span["metal_level"]) for span in own
        }:
            published = [row for row in tables["csr"] if row["hios_variant"] == variant]
            factor = csr_factor(published, score_metal(metal_level))
            key = {"plan_id": plan_id, "csr_variant": variant}
            rows.append(key | priced(facts, metal_level, factor, chosen))
    return sorted(rows, key=lambda row: (row["plan_id"], row["csr_variant"], row["metal_level"]))


def score_given_ages(
    tables: dict[str, Any], *, birth_date: date, sex: str, age_last: int, months: int, metal: str,
    diagnoses: list[dict], drugs: list[dict], csr_indicator: int | None = None,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The score of a person of the do-it-yourself layout: AGE_LAST and months as given, drugs without dates."""
    chosen = DEFAULTS | (settings or {})
    facts = score_facts(
        tables, birth_date=birth_date, sex=sex, age_last=age_last, months=months, diagnoses=diagnoses, drugs=drugs,
        settings=chosen,
    )  # fmt: skip
    published = [row for row in tables["csr"] if row["csr_indicator"] == str(csr_indicator)]
    # within a year every indicator has one factor, so the indicator is enough
    return priced(facts, metal, csr_factor(published, None), chosen)
