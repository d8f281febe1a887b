"""Sections of the page, one for each program: what it does, its formula, the issuer's numbers, what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report._failsafes_radv_section import radv_section
from poolwise.report._failsafes_tables import FEW, MOST_ISSUERS, Table, chosen_rows, row_name, text_table
from poolwise.report._failsafes_year import PROGRAMS, hidden_payment, hidden_programs, issuer_year
from poolwise.report._page_parts import HIDDEN
from poolwise.report._suppression import SMALLEST_SHOWN, hidden_cells
from poolwise.report._transfer_figures import dollars
from poolwise.report._transfer_sections import high_cost_section

if TYPE_CHECKING:
    from poolwise.report._failsafes_year import Failsafes

__all__ = ["program_sections"]

_PERCENT = frozenset({"coinsurance", "payout_rate", "premium_change", "share_of_claims"})


def program_sections(run: Failsafes, issuer: str) -> list[dict[str, Any]]:
    """Return the sections of the programs that were run, in order.

    Each has name, about, formula (lines), source, tables (title, headings, rows, note) and figures: setting, value,
    where it stands, how sure it is.
    """
    sections = []
    for name, step in run.steps():
        if name in _SECTIONS:
            section = _SECTIONS[name](run, step, issuer)
            sections.append({"name": PROGRAMS[name], **_TEXTS[name], **section, "figures": _figures(run, name)})
    return sections


_TEXTS: dict[str, dict[str, Any]] = {
    "transfers": {
        "about": "Money between the issuers of a state, from those whose enrollees carry less risk than metal levels, "
        "ages and areas account for to those whose enrollees carry more.",
        "formula": ["t = (L / mean L − R / mean R) P′", "T = t b, b billable member months"],
        "source": "42 USC 18063; 45 CFR 153.320",
    },
    "high_cost_risk_pool": {
        "about": "Part of the largest claims is paid by a charge on all premium of the nation; here as if these "
        "issuers were the nation.",
        "formula": [
            "pay = share x max(0, C − threshold), an enrollee",
            "charge = premium x sum of pay / sum of premium",
        ],
        "source": "81 FR 94058",
    },
    "reinsurance": {
        "about": "Part of an enrollee's claims of the year between an attachment point and a cap is paid, so that "
        "premiums need not carry it. Where the money does not suffice, all payments are scaled alike.",
        "formula": [
            "pay = sum over layers of share x (min(C, to) − from), an enrollee, where C is above from",
            "proration = min(1, money / sum of pay)",
        ],
        "source": "42 USC 18061 and 45 CFR 153.220 to 153.240 (2014 to 2016); 42 USC 18052 (programs of states)",
    },
    "risk_corridors": {
        "about": "Costs beyond 3 percent of an issuer's target were shared with the government, gains as well as "
        "losses.",
        "formula": [
            "N = premium − taxes",
            "C = claims + quality + health IT − risk adjustment − reinsurance − CSR [− over-statement of reserves]",
            "Q = max((3% + e) N, premium − C − admin − taxes)",
            "M = min(admin + Q, (20% + e) N) + taxes",
            "G = premium − M",
            "between 3 and 8 percent away from G: half; beyond: 0.025 G + 80 percent",
        ],
        "source": "42 USC 18062; 45 CFR 153.500 to 153.540",
    },
    "medical_loss_ratio": {
        "about": "What an issuer keeps beyond the standard share of premium, over three years, goes back to those who "
        "paid it.",
        "formula": [
            "ratio = sum of (claims + quality − received) / sum of (premium − taxes and fees), three years",
            "MLR = round(ratio + base(life-years) x factor(average deductible), 3 decimals)",
            "rebate = max(0, standard − MLR) x (premium − taxes and fees of the reporting year)",
        ],
        "source": "42 USC 300gg-18; 45 CFR 158.210 to 158.243",
    },
    "radv_adjustment": {
        "about": "Samples of enrollees are audited: an issuer of whose conditions more, or fewer, are not found than "
        "is usual has its risk scores and the transfers of all mended.",
        "formula": [
            "x = 1 − found / submitted, of the issuer in a group of HCCs; m, s: mean and deviation of the nation",
            "z = (x − m) / s; beyond the edge A = x − m, or a part of it that grows up to the outer edge",
            "score of an enrollee x (1 − sum(h A) / sum h), h the score of each HCC",
            "error rate = 1 − sum of weighted scores so mended / sum of weighted scores",
            "transfers again with plan risk x (1 − error rate); adjustment = transfer after − before",
        ],
        "source": "45 CFR 153.350 and 153.630; 85 FR 76979",
    },
}


def _figures(run: Failsafes, name: str) -> list[dict[str, Any]]:
    """Return the settings and published figures of a program, those that are uncertain marked."""
    rows = run.settings_of(name).rows(named=True)
    return [
        {
            "setting": str(row["setting"]).replace("_", " "),
            "applies_to": "" if row["applies_to"] in (None, "all") else str(row["applies_to"]),
            "value": str(row["value"]),
            "source": str(row["table_row"] or row["source"]),
            "verification": str(row["verification"] or ""),
            "is_uncertain": "uncertain" in str(row["verification"]),
        }
        for row in rows
    ]


# ------------------------------------------------------------------------------------------------ risk adjustment


def _transfers(run: Failsafes, _: Any, __: str) -> dict[str, Any]:
    """Return a pointer: who pays whom stands on the page of the transfers."""
    assert run.settlement is not None
    pools = run.settlement.transfers.pools.height
    said = f"{pools} risk pool{'s' if pools > 1 else ''} settled; poolwise transfers draws who pays whom."
    return {"tables": [], "said": said}


def _high_cost(run: Failsafes, _: Any, issuer: str) -> dict[str, Any]:
    assert run.settlement is not None
    tables, said = [], []
    for pool in high_cost_section(run.settlement):
        rows = pool["issuers"]
        if len(rows) > MOST_ISSUERS:
            rows = [row for row in rows if row["issuer"].endswith(issuer)]
        if not rows:
            said.append(f"{pool['name']}: {pool['instead'][0].lower()}{pool['instead'][1:]}")
            continue
        cells = [[row[c] for c in ("issuer", "premium", "payment", "charge", "net")] for row in rows]
        headings = ("Issuer", "Premium, $", "Payment, $", "Charge, $", "Net, $")
        tables.append(text_table(pool["name"], headings, cells, FEW if pool["has_hidden"] else ""))
    return {"tables": tables, "said": " ".join(said)}


# ------------------------------------------------------------------------------------------------ reinsurance


def _reinsurance(run: Failsafes, step: Any, issuer: str) -> dict[str, Any]:
    assert run.terms is not None
    (total,) = step.totals.to_dicts()
    layers = [
        [
            area or "all",
            _whole(layer.start),
            "no end" if layer.stop is None else _whole(layer.stop),
            _share(layer.share),
        ]
        for area, own in run.terms.layers.items()
        for layer in own
    ]
    tables = [text_table("Layers", ("Rating area", "From, $", "To, $", "Paid of it"), layers)]
    is_small = 0 < total["enrollees_paid"] < SMALLEST_SHOWN
    if is_small:
        return {"tables": tables, "said": f"It pays for fewer than {SMALLEST_SHOWN} people: nothing is shown of them."}
    tables.append(_reinsured_issuers(run, issuer))
    if run.effect is not None:
        tables.append(_effects(run))
    people = f"{total['enrollees_paid']:,} people"
    if not 0 < total["enrollees"] - total["enrollees_paid"] < SMALLEST_SHOWN:
        people = f"{total['enrollees_paid']:,} of {total['enrollees']:,} people"
    said = f"{dollars(total['payment'])} dollars are paid for {people}."
    if total["proration"] < 1:
        asked = dollars(total["payment_before_proration"])
        said += f" {asked} were asked for and {dollars(total['budget'])} were there: {total['proration']:.4%} of each."
    return {"tables": tables, "said": said}


def _reinsured_issuers(run: Failsafes, issuer: str) -> Table:
    step = run.reinsurance
    assert step is not None
    rows = step.issuers.rows(named=True)
    # Who has few people with claims is hidden whole; who is paid for few of many, in what is paid.
    people = [[r["enrollees"] for r in rows], [r["enrollees_paid"] for r in rows]]
    people.append([all_of - paid for all_of, paid in zip(*people, strict=True)])
    hidden = [any(cells) for cells in zip(*map(hidden_cells, people), strict=True)]
    amounts = [c for c in ("payment", "contribution", "net") if c in step.issuers.columns]
    kept = dict(zip((id(row) for row in rows), hidden, strict=True))
    cells = []
    for row in chosen_rows(rows, issuer):
        # Less the claims that the bridge shows, they would tell a payment that it keeps back.
        claims = HIDDEN if hidden_programs(run, row["issuer_id"]) else dollars(row["plan_paid"])
        figures = [f"{row['enrollees']:,}", f"{row['enrollees_paid']:,}", claims]
        figures += [dollars(row[c]) for c in amounts]
        cells.append([row_name(row), *([HIDDEN] * len(figures) if kept[id(row)] else figures)])
    headings = ["Issuer", "Enrollees", "Paid for", "Claims, $", *(f"{c.capitalize()}, $" for c in amounts)]
    return text_table("Issuers", headings, cells, FEW if any(HIDDEN in row for row in cells) else "")


def _effects(run: Failsafes) -> Table:
    assert run.effect is not None
    own = run.effect
    rows = []
    for row in own.effects.rows(named=True):
        form = ".2%" if row["measure"] in _PERCENT else ",.4f" if row["measure"] == "proration" else ",.2f"
        figures = [row[c] for c in ("value", "lower", "upper", "standard_error")]
        rows.append(
            [row["measure"].replace("_", " "), *("none" if v is None else _minus(format(v, form)) for v in figures)]
        )
    level, seed = own.settings["level"], own.settings["seed"]
    note = f"The interval holds {level:.0%} of {own.draws.height:,} draws of people with replacement (seed {seed})."
    return text_table("Effect on a premium", ("Measure", "Value", "Lower", "Upper", "Standard error"), rows, note)


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _whole(amount: Any) -> str:
    return f"{float(amount):,.2f}".removesuffix(".00")


def _share(share: Any) -> str:
    return f"{float(share) * 100:.4f}".rstrip("0").rstrip(".") + " %"


# ------------------------------------------------------------------------------------------------ corridors


def _corridors(run: Failsafes, step: Any, issuer: str) -> dict[str, Any]:
    given = run.inputs["corridors"]
    tables = []
    shown = step.issuers.filter(pl.col("issuer_id") == issuer, pl.lit(not issuer_year(run, issuer).is_too_small))
    for row in shown.rows(named=True):
        keys = [c for c in ("state", "market", "issuer_id") if c in row]
        same = pl.all_horizontal(pl.col(k).cast(pl.String).str.strip_chars() == row[k] for k in keys)
        stated = given.filter(same).row(0, named=True)
        tables.append(_corridor(run, stated, row, issuer))
    cells = [
        [
            row_name(row),
            f"{row['ratio']:.4f}",
            row["band"].replace("_", " "),
            dollars(row["corridor"]),
            dollars(row["corridor_paid"]),
        ]
        for row in chosen_rows(step.issuers.rows(named=True), issuer)
    ]
    tables.append(text_table("Issuers", ("Issuer", "C / G", "Band", "Owed, $", "Paid, $"), cells))
    (total,) = step.totals.to_dicts()
    said = f"To be received {dollars(total['receivable'])}, paid of it {dollars(total['receivable_paid'])}; "
    return {"tables": tables, "said": said + f"paid in {dollars(-total['payable'])}."}


def _corridor(run: Failsafes, stated: dict[str, Any], row: dict[str, Any], issuer: str) -> Table:
    """Return the steps of one issuer; what its reinsurance would tell of few people is not shown, nor the claims."""
    is_hidden = run.reinsurance is not None and hidden_payment(run.reinsurance.issuers, "enrollees_paid", issuer)
    lines = []
    for column, label in _STATEMENT.items():
        if column in stated:
            is_kept_back = is_hidden and column in ("incurred_claims", "reinsurance_received")
            lines.append(["", label, HIDDEN if is_kept_back else _given(stated[column])])
    for symbol, column, label in _STEPS:
        lines.append([symbol, label, dollars(row[column])])
    lines.append(["C / G", "ratio", f"{row['ratio']:.6f}"])
    lines.append(["", "owed: " + row["band"].replace("_", " "), dollars(row["corridor"])])
    lines.append(["", "paid", dollars(row["corridor_paid"])])
    note = FEW if is_hidden else ""
    return text_table(f"Issuer {row_name(row)}, step by step", ("Symbol", "Step", "$"), lines, note, words=2)


def _given(value: Any) -> str:
    return "not given" if value is None else dollars(Decimal(str(value)))


_STATEMENT = {
    "premium": "premium",
    "taxes_and_fees": "taxes and regulatory fees",
    "incurred_claims": "incurred claims",
    "quality_improvement": "quality improvement",
    "health_information_technology": "health information technology",
    "net_risk_adjustment_received": "risk adjustment received",
    "reinsurance_received": "reinsurance received",
    "csr_received": "cost-sharing reductions received",
    "reserve_overstatement": "over-statement of the prior year's reserves",
    "admin_costs_excl_taxes": "administrative costs without taxes",
}
_STEPS = (
    ("N", "after_tax_premium", "after-tax premium"),
    ("C", "allowable_costs", "allowable costs"),
    ("Q", "profits", "profits"),
    ("M", "allowable_admin", "allowable administrative costs"),
    ("G", "target_amount", "target amount"),
)

# ------------------------------------------------------------------------------------------------ loss ratios


def _loss_ratios(run: Failsafes, step: Any, issuer: str) -> dict[str, Any]:
    is_hidden = run.reinsurance is not None and hidden_payment(run.reinsurance.issuers, "enrollees_paid", issuer)
    tables = []
    shown = step.issuers.filter(pl.col("issuer_id") == issuer, pl.lit(not issuer_year(run, issuer).is_too_small))
    for row in shown.rows(named=True):
        same = pl.all_horizontal(pl.col(k) == row[k] for k in ("state", "market", "issuer_id"))
        tables.append(_loss_ratio_years(row_name(row), step.years.filter(same).rows(named=True), row, is_hidden))
        tables.append(_loss_ratio(row))
    rows = chosen_rows(step.issuers.rows(named=True), issuer)
    cells = [
        [row_name(r), _ratio(r["mlr"]), _ratio(r["standard"]), _word(r["credibility"]), dollars(r["rebate"])]
        for r in rows
    ]
    tables.append(text_table("Issuers", ("Issuer", "MLR", "Standard", "Credibility", "Rebate, $"), cells))
    owing = step.issuers.filter(pl.col("rebate") > 0).height
    return {
        "tables": tables,
        "said": f"{owing} of {step.issuers.height} owe a rebate, {dollars(step.issuers['rebate'].sum())} in all.",
    }


def _loss_ratio_years(name: str, years: list[dict[str, Any]], row: dict[str, Any], is_hidden: bool) -> Table:
    """Return the amounts by year and in all; what would tell of few reinsured people is kept back in every year."""
    kept_back = ("incurred_claims", "reinsurance_received") if is_hidden else ()
    lines = [
        [label, *(HIDDEN if column in kept_back else dollars(each[column]) for each in (*years, row))]
        for column, label in _YEAR_AMOUNTS.items()
    ]
    lives = [each["life_years"] for each in (*years, row)]
    is_few = any(0 < n < SMALLEST_SHOWN for n in lives)  # of one year, which the others and their sum would tell
    lines.append(["life-years", *(HIDDEN if is_few else f"{n:,.1f}" for n in lives)])
    headings = ("Dollars", *(str(y["year"]) for y in years), "Together")
    return text_table(f"Issuer {name}, by year", headings, lines, FEW if is_hidden or is_few else "")


def _loss_ratio(row: dict[str, Any]) -> Table:
    factor = "not needed" if row["deductible_factor"] is None else f"{row['deductible_factor']:.5f}"
    lines = [
        ["numerator, all years, $", dollars(row["numerator"])],
        ["denominator, all years, $", dollars(row["denominator"])],
        ["ratio", f"{row['preliminary_mlr']:.6f}"],
        [f"base factor ({_word(row['credibility'])})", f"{row['base_credibility']:.5f}"],
        ["deductible factor", factor],
        ["added", f"{row['credibility_adjustment']:.6f}"],
        ["MLR", _ratio(row["mlr"])],
        ["standard", _ratio(row["standard"])],
        ["premium less taxes and fees of the reporting year, $", dollars(row["rebate_base"])],
        ["rebate, $", dollars(row["rebate"])],
    ]
    return text_table("", ("Step", ""), lines)


def _ratio(value: float) -> str:
    return f"{value:.3f}"


def _word(text: str) -> str:
    return text.replace("_", " ")


_YEAR_AMOUNTS = {
    "incurred_claims": "incurred claims",
    "quality_improvement": "quality improvement",
    "net_risk_adjustment_received": "risk adjustment received",
    "reinsurance_received": "reinsurance received",
    "net_corridor_received": "corridors received",
    "premium": "premium",
    "taxes_and_fees": "taxes and fees",
}

_SECTIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "transfers": _transfers,
    "high_cost_risk_pool": _high_cost,
    "reinsurance": _reinsurance,
    "risk_corridors": _corridors,
    "medical_loss_ratio": _loss_ratios,
    "radv_adjustment": radv_section,
}
