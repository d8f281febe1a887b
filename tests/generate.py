"""Random populations that hit the edges of the HHS-HCC score, from a seed.

`population(benefit_year, model, size, seed)` returns the four input frames. Every choice is drawn with weight on what
goes wrong easily: codes with two crosswalk rows, several CCs or editor conditions, codes whose fiscal-year validity
changes, members of hierarchies, groups and severe lists, dates around 1 October and around birthdays, spans with
gaps and changes, day counts at the cut points. The tables decide what exists; nothing is drawn from the product.
"""

import functools
import random
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import oracle
import polars as pl

AGES = {"adult": (21, 78), "child": (2, 20), "infant": (0, 1)}
BAND_EDGES = {"adult": (21, 24, 25, 29, 30, 49, 50, 59, 60, 64, 65), "child": (2, 4, 5, 9, 10, 12, 14, 15, 18, 20)}
PLANS = {
    "12345XX0010001": "silver",
    "12345XX0010002": "silver",
    "12345XX0020001": "gold",
    "12345XX0030001": "bronze",
    "12345XX0030002": "expanded_bronze",
    "12345XX0040001": "platinum",
    "12345XX0050001": "catastrophic",
}
SHARES = {"no_diagnosis": 0.12, "drugs": 0.55, "short_span": 0.45, "outside_year": 0.04, "noise": 0.06}


class Population(NamedTuple):
    """The four input frames of one generated population."""

    enrollees: pl.DataFrame
    spans: pl.DataFrame
    diagnoses: pl.DataFrame
    drugs: pl.DataFrame


class Pools(NamedTuple):
    """What one benefit year and model offers to draw from."""

    codes: list[list[str]]
    codes_by_hcc: dict[str, list[str]]
    families: list[list[str]]
    severe: list[str]
    interactions: list[list[list[str]]]
    ndcs: dict[str, list[str]]
    hcpcs: dict[str, list[str]]
    variants: dict[str, list[str]]
    day_counts: list[int]


def code_pools(tables: dict[str, Any]) -> list[list[str]]:
    """Lists of codes that share a peculiarity, and the list of all codes."""
    pools = defaultdict(list)
    for code, rows in tables["crosswalk"].items():
        first = rows[0]
        pools["all"].append(code)
        if len(rows) > 1 or first["split_age_min"] or first["split_age_max"] or first["split_sex"]:
            pools["branches"].append(code)
        if any(row["cc_2"] for row in rows):
            pools["several"].append(code)
        if any(row["cc_3"] for row in rows):
            pools["three"].append(code)
        if first["mce_age_min"] or first["mce_age_max"]:
            pools["mce_age"].append(code)
        if first["mce_sex_w1"] or first["mce_sex_w2"]:
            pools["mce_sex"].append(code)
        if first["mce_sex_w1"] != first["mce_sex_w2"]:
            pools["mce_sex_changes"].append(code)
        if first["valid_fy_start"] != "true" or first["valid_fy_end"] == "false":
            pools["validity"].append(code)
    return list(pools.values())


def families(tables: dict[str, Any], model: str) -> list[list[str]]:
    """HCCs that act on each other: hierarchies, groups, severe and transplant lists, interactions, infant levels."""
    found = [sorted({parent, *children}) for parent, children in tables["hierarchy"].items()]
    if model == "infant":
        levels = defaultdict(set)
        for row in tables["infant"]:
            if str(row["member"]).startswith("HCC"):
                levels[row["variable"]].add(row["member"])
        return found + [sorted(level) for level in levels.values()]
    for _, rules in tables["rules"][model]:
        for rule in rules:
            members = {member for rows in rule["clauses"].values() for member, _, _ in rows}
            hccs = sorted(member for member in members if member.startswith("HCC") and member != "HCC_COUNT")
            if hccs:
                found.append(hccs)
    return found


def severe_hccs(tables: dict[str, Any], model: str) -> list[str]:
    """HCCs of the severe and transplant lists, with the members of their groups."""
    groups = {
        rule["variable"]: rule["zeroes"]
        for _, rules in tables["rules"].get(model, [])
        for rule in rules
        if rule["kind"] == "hcc_group"
    }
    hccs = set()
    for _, rules in tables["rules"].get(model, []):
        for rule in rules:
            if rule["kind"] in ("severe_indicator", "transplant_indicator"):
                for rows in rule["clauses"].values():
                    for member, _, _ in rows:
                        hccs.update(groups.get(member, [member]))
    return sorted(hccs)


def interactions(tables: dict[str, Any], model: str) -> list[list[list[str]]]:
    """The clauses of every RXC x HCC interaction, each a list of members."""
    return [
        [[member for member, _, _ in rows] for rows in rule["clauses"].values()]
        for _, rules in tables["rules"].get(model, [])
        for rule in rules
        if rule["kind"] == "rxc_hcc_interaction"
    ]


def variants_by_metal(tables: dict[str, Any]) -> dict[str, list[str]]:
    """Metal -> the variants with a published factor for it; "any" -> every variant of the year."""
    rows = [row for row in tables["csr"] if row["hios_variant"]]
    found = {"any": sorted({row["hios_variant"] for row in rows})}
    for metal in oracle.METALS:
        found[metal] = sorted({row["hios_variant"] for row in rows if row["metal"] in ("any", metal)})
    return found


@functools.cache
def codes_of(benefit_year: int) -> tuple[list[list[str]], dict[str, list[str]]]:
    """The lists of peculiar codes of a benefit year, and its codes by HCC."""
    tables = oracle.load_tables(benefit_year)
    by_hcc = defaultdict(list)
    for code, rows in tables["crosswalk"].items():
        for row in rows:
            for column in ("cc", "cc_2", "cc_3"):
                if row[column]:
                    by_hcc[oracle.hcc_name(row[column])].append(code)
    return code_pools(tables), dict(by_hcc)


@functools.cache
def pools_of(benefit_year: int, model: str) -> Pools:
    """Everything to draw from for one benefit year and model."""
    tables = oracle.load_tables(benefit_year)
    codes, by_hcc = codes_of(benefit_year)
    drugs: dict[str, Any] = {"ndc": defaultdict(set), "hcpcs": defaultdict(set)}
    for release in tables["rxc_by_code"].values():
        for (code_type, code), rxcs in release.items():
            for rxc in rxcs:
                drugs[code_type][rxc].add(code)
    for by_code in tables["cost_factor_by_code"].values():
        for (code_type, code), variables in by_code.items():
            for variable in variables:
                drugs[code_type][variable].add(code)
    days = {int(row[column]) for row in tables["duration"] for column in ("days_min", "days_max")}
    return Pools(
        codes=codes,
        codes_by_hcc=by_hcc,
        families=[family for family in families(tables, model) if any(hcc in by_hcc for hcc in family)],
        severe=[hcc for hcc in severe_hccs(tables, model) if hcc in by_hcc],
        interactions=interactions(tables, model),
        ndcs={name: sorted(codes) for name, codes in sorted(drugs["ndc"].items())},
        hcpcs={name: sorted(codes) for name, codes in sorted(drugs["hcpcs"].items())},
        variants=variants_by_metal(tables),
        day_counts=sorted(days),
    )


# ---- spans and births ----


def year_dates(benefit_year: int) -> tuple[date, date]:
    """First and last day of the benefit year."""
    return date(benefit_year, 1, 1), date(benefit_year, 12, 31)


def draw_stretches(rng: random.Random, pools: Pools, benefit_year: int) -> list[tuple[date, date]]:
    """One to four stretches of days of the year that do not overlap, in order."""
    first, last = year_dates(benefit_year)
    length = (last - first).days + 1
    if rng.random() >= SHARES["short_span"]:
        days = length
    else:
        days = min(length, rng.choice([rng.choice(pools.day_counts), rng.randint(1, length)]))
    pieces = min(days, rng.choices((1, 2, 3, 4), (5, 3, 1, 1))[0])
    cuts = sorted(rng.sample(range(1, days), pieces - 1)) if pieces > 1 else []
    spare = length - days
    gaps = sorted(rng.choice((0, rng.randint(0, spare))) for _ in range(pieces))
    stretches = []
    for start, end, gap in zip([0, *cuts], [*cuts, days], gaps, strict=True):
        stretches.append((first + timedelta(days=start + gap), first + timedelta(days=end + gap - 1)))
    return stretches


def years_before(day: date, years: int) -> date:
    """The same day some years earlier; 28 February for a 29th that does not exist."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def draw_birth_date(rng: random.Random, model: str, last_day: date) -> date:
    """A birth date that makes an age of the model on the last day, with weight on birthdays around that day."""
    low, high = AGES[model]
    age = rng.choice(BAND_EDGES[model]) if model in BAND_EDGES and rng.random() < 0.6 else rng.randint(low, high)
    offset = rng.choice((0, 1, 2, 363, 364, rng.randint(0, 364), rng.randint(0, 364)))
    birth_date = years_before(last_day, age) - timedelta(days=offset)
    if model != "infant" and rng.random() < 0.05:
        leap_years = [year for year in range(last_day.year - high, last_day.year - low + 1) if year % 4 == 0]
        birth_date = date(rng.choice(leap_years), 2, 29) if leap_years else birth_date
    oldest, youngest = years_before(last_day, high + 1) + timedelta(days=2), years_before(last_day, low)
    return min(max(birth_date, oldest), youngest)


def draw_spans(rng: random.Random, pools: Pools, benefit_year: int) -> list[dict[str, Any]]:
    """Spans of one enrollee within one issuer, the plan, variant or metal changing from one to the next."""
    plan_id, variant = "", ""
    spans = []
    for start, end in draw_stretches(rng, pools, benefit_year):
        change = rng.random()
        if not spans or change < 0.4:
            plan_id = rng.choice(sorted(PLANS))
        if not spans or change < 0.3 or change > 0.8:
            fitting = oracle.score_metal(PLANS[plan_id]) if rng.random() < 0.9 else "any"
            variant = rng.choice(pools.variants[fitting])
        keys = {"plan_id": plan_id, "csr_variant": variant, "metal_level": PLANS[plan_id]}
        spans.append(keys | {"span_start": start, "span_end": end})
    first, last = year_dates(benefit_year)
    if rng.random() < SHARES["outside_year"]:
        if spans[0]["span_start"] == first:
            spans[0]["span_start"] = first - timedelta(days=rng.randint(1, 200))
        if spans[-1]["span_end"] == last:
            spans[-1]["span_end"] = last + timedelta(days=rng.randint(1, 200))
    return spans


# ---- diagnoses and drugs ----


def draw_day(rng: random.Random, benefit_year: int, birth_date: date, last_day: date) -> date | None:
    """A service date: mostly of the year, with weight on 1 October, birthdays, the last day enrolled, and bad dates."""
    first, last = year_dates(benefit_year)
    kind = rng.random()
    if kind < 0.30:
        return max(birth_date, first + timedelta(days=rng.randint(0, (last - first).days)))
    if kind < 0.55:
        return date(benefit_year, 9, 30) + timedelta(days=rng.choice((-2, -1, 0, 0, 1, 1, 2, 60)))
    if kind < 0.75:
        return min(
            date(benefit_year, birth_date.month, min(birth_date.day, 28)) + timedelta(days=rng.randint(-2, 2)), last
        )
    if kind < 0.88:
        return max(birth_date, last_day - timedelta(days=rng.randint(0, 40)))
    if kind < 0.93:
        return last_day + timedelta(days=rng.randint(0, 3))
    if kind < 0.95:
        return birth_date - timedelta(days=1)
    return rng.choice((first, last, first - timedelta(days=1), last + timedelta(days=1), None))


def draw_codes(rng: random.Random, pools: Pools) -> list[str]:
    """Diagnosis codes of one enrollee: none, a family of HCCs, a severe case with many others, or a mix."""
    kind = rng.random()
    if kind < SHARES["no_diagnosis"]:
        return []
    hccs: list[str] = []
    if kind < 0.45:
        family = [hcc for hcc in rng.choice(pools.families) if hcc in pools.codes_by_hcc]
        hccs = rng.sample(family, rng.randint(1, min(4, len(family))))
    elif kind < 0.65 and pools.severe:
        hccs = rng.sample(pools.severe, rng.randint(1, 2))
    codes = [rng.choice(pools.codes_by_hcc[hcc]) for hcc in hccs]
    extra = rng.choices((rng.randint(0, 2), rng.randint(3, 9), rng.randint(10, 25)), (5, 4, 2))[0]
    everyone = sorted(pools.codes_by_hcc)
    for _ in range(extra):
        if rng.random() < 0.5:
            codes.append(rng.choice(rng.choice(pools.codes)))
        else:
            codes.append(rng.choice(pools.codes_by_hcc[rng.choice(everyone)]))
    return codes[:25]


def written(rng: random.Random, code: str) -> str:
    """The code as somebody may have written it, or sometimes a well-formed code that no table holds."""
    kind = rng.random()
    # the second character of a code is a digit, but for the QA0 codes of 2026: an unknown one may pass for malformed
    if kind > SHARES["noise"] or not code[1].isdigit():
        return code
    if kind < 0.01:
        return code + "9" if len(code) < 7 else code[:6] + "Z"
    if kind < 0.02:
        return code[:-1] if len(code) > 3 else "Z99Z"
    dotted = code[:3] + "." + code[3:] if len(code) > 3 else code
    return rng.choice((code.lower(), f" {code} ", dotted, dotted.lower()))


def written_drug(rng: random.Random, code_type: str, code: str) -> str:
    """The drug code as somebody may have written it: hyphens, lower case, lost zeros (which then map to nothing)."""
    kind = rng.random()
    if kind > SHARES["noise"]:
        return code
    if kind < 0.02:
        return "99999999999" if code_type == "ndc" else "Z9999"
    if code_type == "hcpcs":
        return f" {code.lower()} "
    return rng.choice((code.lstrip("0"), f"{code[:5]}-{code[5:9]}-{code[9:]}", f" {code}"))


def draw_drugs(rng: random.Random, pools: Pools, benefit_year: int) -> list[dict[str, Any]]:
    """Drug records of one enrollee: one to six RXCs or cost-factor codes, some unknown, some dated wrongly."""
    if rng.random() > SHARES["drugs"]:
        return []
    first, last = year_dates(benefit_year)
    drugs = []
    for _ in range(rng.choices((1, 2, 4, 6), (4, 3, 2, 1))[0]):
        code_type = rng.choice(("ndc", "ndc", "hcpcs"))
        by_name = pools.ndcs if code_type == "ndc" else pools.hcpcs
        code = written_drug(rng, code_type, rng.choice(by_name[rng.choice(sorted(by_name))]))
        day = first + timedelta(days=rng.randint(0, (last - first).days))
        if rng.random() < 0.05:
            day = rng.choice((first, last, first - timedelta(days=1), last + timedelta(days=1), None))
        drugs.append({"code_type": code_type, "code": code, "service_date": day})
    return drugs


def aimed_codes(rng: random.Random, pools: Pools, model: str) -> list[tuple[str, str]]:
    """(kind, code) pairs that chance would seldom bring together: RXC x HCC interactions, cells of the infant grid."""
    if model == "infant" and rng.random() < 0.4:
        births = [hcc for hcc in pools.codes_by_hcc if "HCC242" <= hcc <= "HCC249"]
        hccs = [rng.choice(births)]
        if rng.random() < 0.6:
            hccs.append(rng.choice(sorted(set(rng.choice(pools.families)) & set(pools.codes_by_hcc)) or hccs))
        return [("icd10", rng.choice(pools.codes_by_hcc[hcc])) for hcc in hccs]
    if not pools.interactions or rng.random() > 0.15:
        return []
    aimed = []
    for members in rng.choice(pools.interactions):
        member = rng.choice([name for name in members if name in pools.codes_by_hcc or name in pools.ndcs])
        if member in pools.ndcs:
            aimed.append(("ndc", rng.choice(pools.ndcs[member])))
        else:
            aimed.append(("icd10", rng.choice(pools.codes_by_hcc[member])))
    return aimed


# ---- frames ----

SCHEMAS: dict[str, dict[str, Any]] = {
    "enrollees": {"enrollee_id": pl.String, "birth_date": pl.Date, "sex": pl.String},
    "spans": {"enrollee_id": pl.String, "plan_id": pl.String, "csr_variant": pl.String, "metal_level": pl.String,
              "span_start": pl.Date, "span_end": pl.Date},
    "diagnoses": {"enrollee_id": pl.String, "diagnosis_code": pl.String, "service_date": pl.Date},
    "drugs": {"enrollee_id": pl.String, "code_type": pl.String, "code": pl.String, "service_date": pl.Date},
}  # fmt: skip
SCOPE_COLUMNS = {"issuer_id": pl.String, "market": pl.String}


def frames(records: dict[str, list[dict[str, Any]]], *, with_scope: bool = False) -> Population:
    """The four frames of a dict of records, with issuer and market columns when asked for."""
    made = {}
    for name, schema in SCHEMAS.items():
        scope = SCOPE_COLUMNS if with_scope and name != "enrollees" else {}
        made[name] = pl.DataFrame(records[name], schema=schema | scope)
    return Population(**made)


def one_enrollee(rng: random.Random, pools: Pools, benefit_year: int, model: str) -> dict[str, Any]:
    """Birth date, sex, spans, diagnoses and drugs of one enrollee of the model."""
    spans = draw_spans(rng, pools, benefit_year)
    last_day = min(spans[-1]["span_end"], date(benefit_year, 12, 31))
    birth_date = draw_birth_date(rng, model, last_day)
    spans = [span | {"span_start": max(span["span_start"], birth_date)} for span in spans]
    spans = [span for span in spans if span["span_start"] <= span["span_end"]]
    diagnoses = [
        {"diagnosis_code": written(rng, code), "service_date": draw_day(rng, benefit_year, birth_date, last_day)}
        for code in draw_codes(rng, pools)
    ]
    aimed = aimed_codes(rng, pools, model)
    day = max(birth_date, date(benefit_year, 1, 1))
    diagnoses += [{"diagnosis_code": code, "service_date": day} for kind, code in aimed if kind == "icd10"]
    drugs = [{"code_type": kind, "code": code, "service_date": day} for kind, code in aimed if kind != "icd10"]
    person = {"birth_date": birth_date, "sex": rng.choice("MF"), "spans": spans, "diagnoses": diagnoses}
    return person | {"drugs": drugs + draw_drugs(rng, pools, benefit_year)}


def population(benefit_year: int, model: str, size: int, seed: int) -> Population:
    """The four input frames of `size` enrollees of one model and benefit year."""
    rng, pools = random.Random(f"{seed}-{benefit_year}-{model}"), pools_of(benefit_year, model)
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    for number in range(size):
        enrollee_id = f"{model[0].upper()}{number:06d}"
        person = one_enrollee(rng, pools, benefit_year, model)
        for name in ("spans", "diagnoses", "drugs"):
            records[name] += [{"enrollee_id": enrollee_id} | record for record in person.pop(name)]
        records["enrollees"].append({"enrollee_id": enrollee_id} | person)
    return frames(records)


def population_of_two_scopes(benefit_year: int, size: int, seed: int) -> Population:
    """Adults and children some of whom have a second issuer or market; every record names its issuer and market."""
    rng = random.Random(f"{seed}-{benefit_year}-scopes")
    by_model = {model: pools_of(benefit_year, model) for model in ("adult", "child")}
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    scopes = (("12345", "individual"), ("12345", "small_group"), ("67890", "individual"))
    for number in range(size):
        enrollee_id, model = f"S{number:06d}", rng.choice(sorted(by_model))
        person = one_enrollee(rng, by_model[model], benefit_year, model)
        own = [rng.choice(scopes) for _ in person["spans"]]
        for span, (issuer_id, market) in zip(person["spans"], own, strict=True):
            # a plan belongs to one issuer and one market, so its id differs between them
            suffix = "90001" if market == "small_group" else span["plan_id"][9:]
            span |= {"issuer_id": issuer_id, "market": market, "plan_id": issuer_id + span["plan_id"][5:9] + suffix}
        for name in ("diagnoses", "drugs"):
            for record in person[name]:
                record |= dict(zip(("issuer_id", "market"), rng.choice(own), strict=True))
        for name in ("spans", "diagnoses", "drugs"):
            records[name] += [{"enrollee_id": enrollee_id} | record for record in person.pop(name)]
        records["enrollees"].append({"enrollee_id": enrollee_id} | person)
    return frames(records, with_scope=True)


# ---- do-it-yourself layout ----


def day_text(day: date | None) -> str:
    """A date in the layout YYYYMMDD; a missing one is blank."""
    return "" if day is None else day.strftime("%Y%m%d")


def write_layout(folder: Path, people: list[dict[str, Any]]) -> None:
    """People with id, birth_date, sex, given, diagnoses and drugs in the published do-it-yourself CSV layout."""
    person = ["ENROLID,SEX,DOB,AGE_LAST,METAL,CSR_INDICATOR,ENROLDURATION"]
    diag, ndc, hcpcs = ["ENROLID,DIAG,DIAGNOSIS_SERVICE_DATE,AGE_AT_DIAGNOSIS"], ["ENROLID,NDC"], ["ENROLID,HCPCS"]
    for one in people:
        given, own, born = one["given"], one["id"], one["birth_date"]
        facts = [own, "1" if one["sex"] == "M" else "2", day_text(born), given["age_last"], given["metal_level"]]
        person.append(",".join(map(str, [*facts, given["csr_indicator"], given["enrollment_months"]])))
        for row in one["diagnoses"]:
            day = row["service_date"]
            age = "" if day is None else max(0, oracle.completed_years(born, day, "march_1"))
            diag.append(f"{own},{row['diagnosis_code']},{day_text(day)},{age}")
        for row in one["drugs"]:
            (ndc if row["code_type"] == "ndc" else hcpcs).append(f"{own},{row['code']}")
    for name, lines in (("PERSON", person), ("DIAG", diag), ("NDC", ndc), ("HCPCS", hcpcs)):
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def people_of_given_ages(benefit_year: int, model: str, size: int, seed: int) -> list[dict[str, Any]]:
    """People of the do-it-yourself layout: ages given right or a little wrong, drugs without dates."""
    tables = oracle.load_tables(benefit_year)
    rng, pools = random.Random(f"{seed}-{benefit_year}-{model}-given"), pools_of(benefit_year, model)
    people = []
    for number in range(size):
        person = one_enrollee(rng, pools, benefit_year, model)
        last_day = min(person["spans"][-1]["span_end"], date(benefit_year, 12, 31))
        age = oracle.completed_years(person["birth_date"], last_day, "march_1")
        published = rng.choice(tables["csr"])
        metal = rng.choice(oracle.METALS) if published["metal"] == "any" else published["metal"]
        given = {
            "age_last": max(0, age + rng.choice((0, 0, 0, 0, 0, -1, 1, 2))),
            "enrollment_months": rng.randint(1, 12),
            "metal_level": metal,
            "csr_indicator": int(published["csr_indicator"]),
        }
        drugs = [{"code_type": drug["code_type"], "code": drug["code"]} for drug in person["drugs"]]
        people.append(person | {"id": f"{model[0].upper()}{number:05d}", "given": given, "drugs": drugs})
    return people
