"""Formulas as data: the language, the table, the model and ledger that use it, traces, and a filing as it stands."""

import random
from decimal import Decimal
from fractions import Fraction

import filing_g1
import polars as pl
import pytest

import data_specs
from data_specs.errors import InputRefused, TableRefused
from rating.filing import FilingSettings
from rating.filing._expressions import (
    OVER_CATEGORIES,
    OVER_MARKET,
    SUMS,
    evaluate,
    parse,
    references,
    render_excel,
    render_text,
)
from rating.filing._filing_settings import FAMILY_TIER
from rating.filing._formulas import CATEGORIES, Formulas
from rating.filing._ledger import MARKET, Entry, Ledger
from rating.filing._model import FilingModel, Places, of_categories
from rating.filing._numbers import exact, exact_or_blank

SILVER = "12345XX0010002"


@pytest.fixture(scope="module")
def filing():
    return filing_g1.usual()


class Numbers:
    """Names for an expression, and lists of them for its sums."""

    def __init__(self, single, rows=None):
        self.single, self.rows = single, rows or {}

    def one(self, name, _):
        return self.single[name]

    def several(self, names, _):
        return [list(row) for row in zip(*(self.rows[name] for name in names), strict=True)]


def value(text, single=None, **rows):
    return evaluate(parse(text), Numbers(single or {}, rows))


# ------------------------------------------------------------------------------------------------ the language


@pytest.mark.parametrize(
    "text",
    ["a ** 2", "a if b else c", "f(a)", "sum_plans(a + b)", "sum_plans(2)", "sum_plans()", "ratio(a)", "a.b", "a[0]",
     "'x'", "True", "a < b", "", "a b", "__import__('os')", "market(a * b)", "ratio(a, b, c=1)", "+a", "a // b"],
)  # fmt: skip
def test_what_is_not_of_the_language(text):
    with pytest.raises(TableRefused, match="cannot be read"):
        parse(text)


def test_blanks():
    one, none, zero = Decimal(1), None, Decimal(0)
    assert value("a + b", {"a": one, "b": none}) is None
    assert value("a * b", {"a": zero, "b": none}) == 0
    assert value("b * a", {"a": zero, "b": none}) == 0
    assert value("ratio(a, b)", {"a": one, "b": zero}) is None
    assert value("ratio(a, b)", {"a": one, "b": none}) is None
    assert value("ratio(a, b)", {"a": zero, "b": one}) == 0
    assert value("-a", {"a": none}) is None
    assert value("sum_plans(a)", a=[one, none, one]) == 2
    assert value("sum_plans(a)", a=[none, none]) is None
    assert value("sum_plans(a)", a=[]) is None
    assert value("sum_plans(a * b)", a=[one, none, zero], b=[one, one, none]) == 1


def random_tree(draw, depth):
    """An expression as text with every parenthesis, and its value by fractions."""
    if depth == 0 or draw.random() < 0.2:
        name = draw.choice("abcde")
        return name, VALUES[name]
    sign = draw.choice("+-*/")
    (left, x), (right, y) = random_tree(draw, depth - 1), random_tree(draw, depth - 1)
    if sign == "/" and y == 0:
        sign = "+"
    result = {"+": lambda: x + y, "-": lambda: x - y, "*": lambda: x * y, "/": lambda: x / y}[sign]()
    return f"({left} {sign} {right})", result


VALUES = {name: Fraction(text) for name, text in zip("abcde", ("1.5", "-0.7", "3", "0.125", "11"), strict=True)}


def test_evaluated_as_written_and_written_as_parsed():
    """Texts for readers and worksheets keep only the parentheses they need, and mean the same."""
    draw = random.Random(4)
    numbers = Numbers({name: Decimal(f.numerator) / Decimal(f.denominator) for name, f in VALUES.items()})
    for _ in range(300):
        text, expected = random_tree(draw, 4)
        tree = parse(text)
        found = evaluate(tree, numbers)
        assert abs(Fraction(found) - expected) <= Fraction(1, 10**20) * max(1, abs(expected))
        for written in (render_text(tree, lambda name, _: name), render_excel(tree, lambda name, _: name)[1:]):
            again = evaluate(parse(written), numbers)
            assert abs(again - found) <= Decimal("1e-20") * max(1, abs(found)), (text, written)
            assert written.count("(") <= text.count("(")


def test_worksheet_formulas():
    def cell(name, over):
        return {
            "": "C5",
            OVER_MARKET: "'Wksh 1'!D9",
            OVER_CATEGORIES: "F2:F7",
            "plan": f"{name.upper()}1:{name.upper()}4",
        }[over]

    def shown(text, **how):
        return render_excel(parse(text), cell, **how)

    assert shown("a / (1 - b)") == "=C5/(1-C5)"
    assert shown("ratio(a, b + c) - 1") == '=IF(N(C5+C5)=0,"",C5/(C5+C5)-1)'
    assert shown("sum_categories(x_{category})") == "=SUM(F2:F7)"
    assert shown("sum_plans(a * b)") == "=SUMPRODUCT(A1:A4,B1:B4)"
    assert shown("market(a) * b") == "='Wksh 1'!D9*C5"
    assert shown("a - b", guarded=True) == '=IF(COUNT(C5,C5)<2,"",C5-C5)'
    assert shown("sum_plans(a) * b", guarded=True) == '=IF(OR(COUNT(C5)<1,COUNT(A1:A4)=0),"",SUM(A1:A4)*C5)'


# ------------------------------------------------------------------------------------------------ the table


def table():
    return data_specs.table("filing/urrt_formulas").to_dicts()


def full_names(name):
    return of_categories(name) if "{category}" in name else (name,)


def test_formulas_are_made_of_known_names():
    known = {(full, row["grain"]) for row in table() for full in full_names(row["name"])}
    around = {"plan": ("plan", "product", "market"), "product": ("product", "market")}
    for row in table():
        if row["expression"] is None:
            continue
        category = {"category": CATEGORIES[0]} if "{category}" in row["name"] else {}
        for name, over in references(parse(row["expression"])):
            name = name.format(**category) if over == "" and category else name
            for full in full_names(name):
                grains = around.get(row["grain"], (row["grain"], "market")) if over == "" else (over,)
                grains = ("market",) if over in (OVER_MARKET, OVER_CATEGORIES) else grains
                assert any((full, grain) in known for grain in grains), (row["name"], full)


def test_settings_of_formulas_are_settings():
    by_setting = {}
    for row in table():
        if row["setting"]:
            by_setting.setdefault((row["name"], row["grain"], row["setting"]), set()).add(row["setting_value"])
        else:
            assert row["setting_value"] is None
    for (name, _, setting), values in by_setting.items():
        choices = set(FilingSettings.CHOICES[setting])
        if setting == "rate_change_weight":
            choices -= {"premium"}  # stands for the first that is there
        if name == "calib_age":
            choices |= {FAMILY_TIER}
        assert values <= choices
        if name not in ("fee_retention_shortfall", "quarter_mean_factor"):
            assert values == choices, name


def test_only_the_two_bases_define_each_other():
    for convention in ("gross_up", "amount"):
        formulas = Formulas.of(FilingSettings.of({"user_fee_convention": convention}).as_dict())
        model = FilingModel(formulas, {}, Places({"p": "x"}))
        open_names, circles = [], set()

        def walk(key, model=model, open_names=open_names, circles=circles):
            if key in open_names:
                circles.update(open_names[open_names.index(key) :])
                return
            open_names.append(key)
            for part in model.inputs(*key):
                walk(part)
            open_names.pop()

        for key in model.keys(("market", "product", "plan")):
            walk(key)
        pairs = {f"proj_{n}{end}" for n in ("reinsurance", "risk_adjustment") for end in ("", "_paid")}
        assert {name for name, _ in circles} == pairs


def test_every_number_of_the_template_is_a_quantity():
    names = {full for row in table() for full in full_names(row["name"])}
    units = {"usd", "usd_pmpm", "factor", "ratio", "ratio_0_1", "ratio_of_premium", "member_months", "members"}
    fields = data_specs.table("filing/urrt_fields").to_dicts()
    of_template = {row["our_column"] for row in fields if row["unit"] in units and "*" not in row["our_column"]}
    assert of_template - names == set()


# ------------------------------------------------------------------------------------------------ model and ledger


def test_plans_of_a_product_and_of_the_market():
    formulas = Formulas.of(FilingSettings().as_dict() | {"rate_change_weight": "experience_premium"})
    changes = {"a": ("x", "0.10", "300"), "b": ("x", "0.04", "100"), "c": ("y", "0.01", "600")}
    given = {}
    for plan, (_, change, premium) in changes.items():
        given |= {("cumulative_rate_change", plan): Decimal(change), ("exp_premium", plan): Decimal(premium)}
    model = FilingModel(formulas, given, Places({plan: product for plan, (product, _, _) in changes.items()}))
    found = [model.value("product_rate_increase", product) for product in "xy"]
    assert [*found, model.value("submission_rate_increase")] == [Decimal("0.085"), Decimal("0.01"), Decimal("0.04")]
    parts = [(name, plan) for name in ("cumulative_rate_change", "rate_change_weight") for plan in "ab"]
    assert model.inputs("product_rate_increase", "x") == tuple(parts)


def test_inputs_swapped(filing):
    model = filing.model
    changed = model.changed({("adj_morbidity", MARKET): Decimal("1.122")})
    assert changed.value("projected_index_rate") / model.value("projected_index_rate") == Decimal("1.1")
    assert model.value("adj_morbidity") == Decimal("1.0200")  # nothing of the first has moved
    assert model.changed({("adj_morbidity", MARKET): None}).value("mean_premium_pmpm") is None


def test_ledger_refuses_a_second_value():
    ledger = Ledger([Entry("credibility", MARKET, Decimal(1), "ratio")])
    with pytest.raises(InputRefused, match="credibility stands twice"):
        ledger.add(Entry("credibility", MARKET, Decimal(0), "ratio"))
    ledger.put(Entry("credibility", MARKET, Decimal(0), "ratio"))
    assert ledger.value("credibility") == 0
    assert len(ledger) == 1


def test_ledger_is_closed(filing):
    """What a number was worked out from stands in the ledger too; what is computed says by which formula."""
    for entry in filing.ledger:
        assert all(key in filing.ledger for key in entry.inputs)
        assert entry.unit
        if entry.role == "computed":
            assert entry.formula
            assert entry.source or entry.name in ("projection_enrollment", "csr_load")
        else:
            assert entry.source
            assert not entry.inputs
    frame = filing.ledger.frame()
    assert frame.height == len(filing.ledger)
    assert frame.select("name", "place").is_duplicated().sum() == 0
    exact_values = dict(zip(frame["name"] + frame["place"], frame["exact"], strict=True))
    assert Decimal(exact_values["projected_index_rate"]) == filing.value("projected_index_rate")


@pytest.mark.parametrize(
    "bad", [None, "", "1,000", "$5", "5%", "1e400", "nan", "inf", float("nan"), Decimal("NaN"), True, [1], "1" * 61]
)
def test_what_is_no_number(bad):
    with pytest.raises(InputRefused):
        exact(bad, "x")


def test_numbers_as_written():
    assert [str(exact(n, "x")) for n in (0.1, 1 / 3, "1.0450", Decimal("2.50"), 7, " +.5 ", "1e2")] == [
        "0.1", "0.3333333333333333", "1.0450", "2.50", "7", "0.5", "1E+2"
    ]  # fmt: skip
    assert exact_or_blank("  ", "x") is None
    assert len(exact(Decimal(10) ** 40 / 3, "x").as_tuple().digits) <= 34


# ------------------------------------------------------------------------------------------------ traces


def test_each_line_of_a_trace_works_out(filing):
    """The formula of a line, with the numbers that it shows, gives the line's value."""
    frame = filing.trace("mean_premium_pmpm").frame
    lines = frame.filter(pl.col("with_numbers") != "").to_dicts()
    assert len(lines) == 4 + 4 + 6 + 5  # premiums, plan rates, categories, and steps 3 to 6 with the mean
    for line in lines:
        found = evaluate(parse(line["with_numbers"]), Numbers({}))
        assert abs(float(found) / line["value"] - 1) < 1e-9, line
    names = set(frame["name"])
    assert {"ep_index_rate_professional", "trend_y2_util_capitation", "pct_admin", "exchange_fee_pct"} <= names
    again = frame.filter(pl.col("note") == "see above")
    assert set(again["name"]) == {"market_adjusted_index_rate", "plan_adjusted_index_rate"} - {
        "plan_adjusted_index_rate"
    }


def test_a_rate_goes_back_to_claims(filing):
    trace = filing.trace("rate", SILVER, "R-XX002", 40, tobacco=True)
    first = trace.frame.row(0, named=True)
    rates = filing.rates.filter(plan_id=SILVER, rating_area_id="R-XX002", age_band="40")
    assert first["value"] == float(rates["individual_tobacco_rate"].item())
    factors = trace.frame.filter(pl.col("depth") == 1)["value"].to_list()
    assert factors[1:] == [1.278, 1.06, 1.2]
    assert round(factors[0] * 1.278 * 1.06 * 1.2, 2) == first["value"]
    leaves = trace.frame.filter(pl.col("formula") == "")
    assert (leaves["source"] != "").all()
    assert set(leaves["name"]) >= {f"ep_index_rate_{category}" for category in CATEGORIES}
    text = str(trace)
    assert text.startswith(
        f"rate [{SILVER}, R-XX002, age 40, tobacco] = 616.82 usd = calibrated_plan_adjusted_index_rate * "
    )
    assert "      market_adjusted_index_rate = 601.784811415 usd_pmpm" in text
    # A child is charged no tobacco ratio; area and age may be written otherwise.
    child = filing.trace("rate", SILVER, "2", 7, tobacco=True).frame
    young = filing.rates.filter(plan_id=SILVER, rating_area_id="R-XX002", age_band="0-14")
    assert child["value"][0] == float(young["individual_rate"].item())
    assert child.filter(depth=1)["value"].to_list()[-1] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rate", SILVER, "R-XX002"), "a consumer rate is of an age"),
        (("rate", SILVER, "R-XX009", 40), "no rate of plan"),
        (("rate", "12345XX0019999", "R-XX002", 40), "no rate of plan"),
        (("index_rate",), "no 'index_rate' of the market"),
        (("plan_adjusted_index_rate",), "no 'plan_adjusted_index_rate' of the market"),
        (("plan_adjusted_index_rate", "12345XX0019999"), "no plan or place"),
    ],
)
def test_what_cannot_be_traced(filing, arguments, message):
    with pytest.raises(InputRefused, match=message):
        filing.trace(*arguments)


def test_values_by_category_and_place(filing):
    assert filing.value("trended_ehb", category="capitation") == filing.value("trended_ehb_capitation")
    assert filing.value("market_adjusted_index_rate", SILVER) == filing.value("market_adjusted_index_rate")
    assert filing.value("area_factor", "R-XX001") == Decimal("0.9500")
    assert filing.value("age_factor", "age 10 N") == 0
    with pytest.raises(InputRefused, match="benefit category 'dental'"):
        filing.value("trended_ehb", category="dental")


# ------------------------------------------------------------------------------------------------ as it stands


def test_a_filing_as_filed_is_not_worked_out_again(filing):
    filed = filing.as_filed({("adjusted_trended_ehb", MARKET): "616.34", ("adj_network", SILVER): Decimal("0.95")})
    assert filed.value("adjusted_trended_ehb") == Decimal("616.34")
    assert filed.value("projected_index_rate") == filing.value("projected_index_rate")
    assert filed.model.computed("adjusted_trended_ehb") == filing.value("adjusted_trended_ehb")
    assert filed.model.computed("projected_index_rate") == Decimal("616.34")
    assert filed.plans.filter(plan_id=SILVER)["adj_network"].item() == 0.95
    assert filed.market.filter(name="adjusted_trended_ehb").select("value", "role", "source").row(0) == (
        616.34,
        "input",
        "as filed",
    )
    assert filing.value("adj_network", SILVER) == Decimal("0.9800")
    same = filing.as_filed()
    assert same.plans.equals(filing.plans)
    assert [e.value for e in same.ledger] == [e.value for e in filing.ledger]
    for key in same.model.keys(("market", "product", "plan")):
        follows = same.model.computed(*key)
        assert follows is None or key not in filing.ledger or follows == filing.model.computed(*key)


def test_header_and_rates_as_filed(filing):
    dearer = filing.rates.with_columns(pl.col("individual_rate") + Decimal("0.02"))
    filed = filing.as_filed(header={"state": "YY"}, rates=dearer)
    assert filed.header["state"] == "YY"
    assert filed.rates.equals(dearer)
    assert filing.header["state"] == "XX"
    assert repr(filed) == "<Filing 12345, YY, individual, 2027: 4 plans, 2 findings>"


def test_sums_run_over_known_kinds():
    places = Places({"p": "x"}, ("A",), ("age 10 Y",), ("tobacco N",), ("tier one_adult",))
    for over in SUMS.values():
        if over != OVER_CATEGORIES:
            assert len(places.of(over)) == 1
