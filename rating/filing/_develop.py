"""A rate filing in one run: experience and assumptions in, every number of the template and the rate table out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from data_specs._declared import given_settings
from data_specs.errors import InputRefused, SettingRefused
from rating._factors import rate_basis, rating_factors
from rating._figures import whole_year
from rating._rate_settings import RateSettings
from rating.filing import _calibration, _csr_load, _index_rate, _plan_rates
from rating.filing._draft import Draft, Identity
from rating.filing._filing_frames import assembled, filled_ledger
from rating.filing._filing_input import Plans, need_values, read_assumptions, read_current, read_plans
from rating.filing._filing_settings import FilingSettings
from rating.filing._findings import listed, refusal
from rating.filing._formulas import CATEGORIES, Formulas
from rating.filing._index_rate import CALIBRATIONS
from rating.filing._ledger import COMPUTED, MARKET, Entry
from rating.filing._model import FilingModel, Places
from rating.filing._numbers import CONTEXT, rounded
from rating.filing._projected_loss_ratio import projected_loss_ratio

if TYPE_CHECKING:
    import polars as pl

    from rating.filing._calibration import Areas, Mix
    from rating.filing._experience import Experience
    from rating.filing._filing import Filing

__all__ = ["develop"]

_HEADER = (
    "company_legal_name",
    "issuer_id",
    "state",
    "market",
    "plan_year",
    "rules_of_state",
    "effective_date",
    "exp_period_start",
    "exp_period_end",
    "claims_paid_through",
)


def develop(
    experience: Any,
    assumptions: Mapping[str, Any],
    plans: pl.DataFrame | pl.LazyFrame,
    *,
    plan_year: int,
    state: str,
    market: str,
    issuer_id: str,
    areas: pl.DataFrame | pl.LazyFrame,
    mix: pl.DataFrame | pl.LazyFrame | None = None,
    variants: pl.DataFrame | pl.LazyFrame | None = None,
    triangle: pl.DataFrame | pl.LazyFrame | None = None,
    header: Mapping[str, Any] | None = None,
    current: pl.DataFrame | pl.LazyFrame | None = None,
    prior: Filing | None = None,
    settings: Mapping[str, Any] | FilingSettings | None = None,
) -> Filing:
    """Return the rate filing that follows from experience and assumptions.

    Parameters
    ----------
    experience : frame, Experience or None
        A year of experience by month and benefit category (with `triangle`), or what :func:`rating.filing.experience`
        made of one; None: totals and index rates of the experience are among the assumptions.
    assumptions : mapping
        Quantities of the market by their names in ``filing/urrt_formulas``: a number, or a mapping with ``value``,
        ``source`` and ``note``. A given value wins over a computed one, and the ledger says what it replaced. Beside
        them ``exchange_type`` (FFE, SBE-FP): the fee of ``filing/exchange_user_fees`` is taken.
    plans : frame
        A row per plan, terminated ones too: ``plan_id``, ``metal_level``, ``plan_category`` (new, renewing,
        terminated); of offered plans ``adj_av_cost_sharing`` (or ``av_pricing`` and ``induced_demand``),
        ``adj_csr_load``, ``adj_network``, ``adj_non_ehb``, ``adj_catastrophic`` (of catastrophic plans), ``pct_admin``,
        ``pct_taxes_fees``, ``pct_profit_risk``, ``proj_member_months_plan`` (or ``current_enrollment`` and
        ``enrollment_change``); optional ``product_id`` (default: the first ten characters), ``tobacco_ratio``,
        ``on_exchange``, ``crosswalk_plan_id`` and any other quantity of a plan.
    plan_year, state, market, issuer_id
        Of the rates. A `state` that no table knows needs the setting ``rules_of_state``.
    areas : frame
        ``rating_area_id``, ``area_factor``, optional ``plan_id``.
    mix : frame, optional
        Projected membership: ``kind`` (age, area, tobacco; tier where families are rated), ``level``, ``billable``
        (Y, N), ``member_months``, optional ``factor`` and ``contract_months`` (tiers). Without it the calibration
        factors are among the assumptions.
    variants : frame, optional
        ``plan_id``, ``csr_variant``, ``share`` or ``member_months``, optional ``paid_to_allowed``, ``induced_demand``.
    triangle : frame, optional
        Paid claims by incurred and paid month, for :func:`rating.filing.experience`. Months of low completion take the
        trend of their category: ``trend_y1_cost_* x trend_y1_util_* - 1`` of the assumptions.
    header : mapping, optional
        ``company_legal_name``, ``effective_date``, ``exp_period_start``, ``exp_period_end``, ``claims_paid_through``.
    current : frame, optional
        ``plan_id`` and ``current_enrollment``, ``current_premium_pmpm``, ``renewal_premium_pmpm``,
        ``current_calibrated_rate``, ``current_plan_adjusted_index_rate``.
    prior : Filing, optional
        The filing in force; its rates are the current ones where `current` does not say them.
    settings : mapping, optional
        See :class:`rating.filing.FilingSettings`; settings of :class:`rating.RateSettings` may stand among them.

    Returns
    -------
    Filing

    Raises
    ------
    InputRefused
        Something needed is absent, unreadable or outside its limits; retention is one or more; the user fee's basis is
        not clear; the rate is not above zero.
    SettingRefused
        A setting has no such name or value; no rules are held for the state.

    Notes
    -----
    Source: 45 CFR 156.80 (single risk pool), 147.102 (rating factors), 154.200 (rate changes); instructions of the
    Unified Rate Review Template for the layout. Nothing is rounded before the consumer rate, which is rounded once,
    half up to the cent, but factors that a study or an average puts out (``factor_decimals``).

    Examples
    --------
    A new issuer: 500 / (1 - 0.025) x 0.7 / (1 - 0.2) = 448.7179, times 0.6 at factor 1, times 1.278 at age 40.

    >>> import polars as pl
    >>> plans = pl.DataFrame({"plan_id": ["12345TX0010001"], "metal_level": ["silver"], "plan_category": ["new"],
    ...     "adj_av_cost_sharing": ["0.7"], "adj_csr_load": [1], "adj_network": [1], "adj_non_ehb": [1],
    ...     "pct_admin": ["0.15"], "pct_taxes_fees": ["0.03"], "pct_profit_risk": ["0.02"],
    ...     "proj_member_months_plan": [12000]})
    >>> assumptions = {"exp_member_months": 0, "manual_ehb": 500, "proj_reinsurance": 0, "proj_risk_adjustment": 0,
    ...     "exchange_fee_pct": "0.025", "calib_age": "0.6", "calib_geo": 1, "calib_tobacco": 1}
    >>> areas = pl.DataFrame({"rating_area_id": ["R-TX001"], "area_factor": [1]})
    >>> filing = develop(None, assumptions, plans, plan_year=2026, state="TX", market="individual", issuer_id="12345",
    ...     areas=areas)
    >>> filing
    <Filing 12345, TX, individual, 2026: 1 plans, 1 findings>
    >>> round(filing.value("plan_adjusted_index_rate", "12345TX0010001"), 4)
    Decimal('448.7179')
    >>> filing.rates.filter(age_band="40")["individual_rate"].item()
    Decimal('344.08')
    """
    chosen, rate_settings = _settings(settings)
    identity = _identity(plan_year, state, market, issuer_id, chosen, rate_settings)
    draft = Draft(chosen, identity)
    entries, words = read_assumptions(assumptions, draft.formulas)
    for entry in entries:
        draft.offer(entry)
    whose = _header(header, plan_year)
    known = read_plans(plans, draft)
    studied = _of_experience(experience, triangle, draft, known, whose)
    if current is not None:
        read_current(current, draft, known)
    _plan_rates.give_earlier_rates(draft, prior, known)
    held = _calibration.read_areas(areas, draft, known)
    levels = None if mix is None else _calibration.read_mix(mix, draft, held, _one_ratio(draft, known))
    _give_tobacco(draft, known)
    has_experience = _index_rate.give_no_experience(draft)
    _index_rate.give_credibility(draft)
    _index_rate.give_exchange_fee(draft, words.get("exchange_type"))
    _plan_rates.give_membership(draft, known)
    _plan_rates.give_catastrophic(draft, known)
    _plan_rates.give_terminated(draft, known)
    _plan_rates.give_rate_changes(draft, known)
    of_variants = {} if variants is None else _csr_load.read_variants(variants, draft, known)
    model = _worked_out(draft, known, held, levels, of_variants, has_experience)
    rules_of = chosen.rules_of_state or state
    rates = _plan_rates.consumer_rates(draft, model, known, held, rate_settings, rules_of)
    membership = _csr_load.variant_membership(draft, of_variants, model)
    federal = projected_loss_ratio(draft, model, known)
    ledger = filled_ledger(model, draft.entries, (*studied, *membership, *federal))
    whose |= {"issuer_id": issuer_id, "state": state, "market": market, "plan_year": identity.plan_year}
    return assembled(
        header={**dict.fromkeys(_HEADER), **whose, "rules_of_state": rules_of},
        model=model,
        ledger=ledger,
        texts=known.texts,
        chosen=chosen,
        settings=_settings_frame(chosen, rate_settings, model),
        findings=draft.findings.frame(),
        uncertain=_uncertain(draft, rules_of, rate_settings),
        areas=_areas_frame(held),
        rates=rates,
        mix=_mix_frame(levels, model),
        variants=_variants_frame(membership),
    )


# ------------------------------------------------------------------------------------------------ who and how


def _settings(settings: Mapping[str, Any] | FilingSettings | None) -> tuple[FilingSettings, RateSettings]:
    if isinstance(settings, FilingSettings):
        return settings, RateSettings()
    given = given_settings(settings)
    of_rates = {name: given.pop(name) for name in RateSettings.names() if name in given}
    return FilingSettings.of(given), RateSettings.of(of_rates)


def _identity(
    plan_year: int, state: str, market: str, issuer_id: str, chosen: FilingSettings, rate_settings: RateSettings
) -> Identity:
    year = whole_year(plan_year, "plan_year")
    for name, value, length, of_kind in (("issuer_id", issuer_id, 5, str.isdigit), ("state", state, 2, str.isupper)):
        if not isinstance(value, str) or len(value) != length or not of_kind(value):
            kind = "five digits, as text" if name == "issuer_id" else "two capital letters"
            raise SettingRefused(f"{name} cannot be {value!r}", rule="filing/hios_id_grammar", remedy=f"write {kind}")
    from data_specs import _registry

    rules_of = chosen.rules_of_state or state
    held = _registry.rows("rating/age_curve_assignment")["state"].unique().to_list()
    if rules_of not in held:
        raise SettingRefused(
            f"no age curve is held for the state {rules_of!r}",
            rule="a state's curve, tiers and ceilings hold in it (45 CFR 147.102); none is assumed",
            remedy="name a state in the setting rules_of_state, or supply the state's rows",
        )
    return Identity(issuer_id, state, market, year, rating_factors(rules_of, market, year, rate_settings))


def _header(header: Mapping[str, Any] | None, plan_year: int) -> dict[str, Any]:
    """Return the header's entries; dates written as text become dates."""
    if not isinstance(header, (Mapping, type(None))):
        raise refusal("PRC-003", f"`header` is a {type(header).__name__}", "header", "hand in a mapping")
    found: dict[str, Any] = {"effective_date": date(plan_year, 1, 1)}
    for name, value in dict(header or {}).items():
        is_date = isinstance(value, str) and name in _HEADER[6:]
        try:
            found[name] = date.fromisoformat(value) if is_date else value
        except ValueError:
            raise refusal("PRC-003", f"{name} is no date", "header", "write YYYY-MM-DD") from None
    return found


def _of_experience(experience: Any, triangle: Any, draft: Draft, plans: Plans, header: dict[str, Any]) -> list[Entry]:
    """Offer what a study of the experience found for the template; return its other entries.

    Raises
    ------
    InputRefused
        A triangle without a frame of experience to complete.
    """
    is_studied = hasattr(experience, "entries")
    if triangle is not None and (experience is None or is_studied):
        raise InputRefused(
            "a triangle is given and no frame of experience that it completes",
            where="triangle",
            rule="nothing that is handed in is left aside without a word",
            remedy="hand in the experience as a frame, or leave the triangle out",
        )
    if experience is None:
        return []
    if not is_studied:
        experience = _studied(experience, triangle, draft, header)
    for name, day in zip(("exp_period_start", "exp_period_end"), _days(experience.period), strict=True):
        if header.get(name) is None:
            header[name] = day
    draft.findings.extend(experience.findings)
    strange = {entry.place for entry in experience.entries if entry.name == "exp_member_months_plan"}
    strange -= set(plans.category_of)
    if strange:
        said = "experience of plans that are not among `plans`: worksheet 2 lacks what worksheet 1 has"
        draft.findings.add("PRC-026", f"plans {listed(sorted(strange))}", said)
    others = []
    for entry in experience.entries:
        if any(draft.formulas.quantity(entry.name, grain) for grain in ("market", "plan")):
            draft.offer(entry)
        else:
            others.append(entry)
    return others


def _studied(frame: Any, triangle: Any, draft: Draft, header: Mapping[str, Any]) -> Experience:
    """Return the study of a frame of experience; months of low completion take the trend of worksheet 1, year 1."""
    from rating.filing._experience import experience as study

    first, last = header.get("exp_period_start"), header.get("exp_period_end")
    trends = {category: _year_1_trend(draft, category) for category in CATEGORIES}
    found = study(
        frame,
        triangle=triangle,
        period=None if first is None or last is None else (first, last),
        plan_year=draft.identity.plan_year,
        paid_through=header.get("claims_paid_through"),
        annual_trend=trends,
        settings=draft.chosen,
    )
    return replace(found, entries=tuple(_with_trend_inputs(entry) for entry in found.entries))


def _year_1_trend(draft: Draft, category: str) -> Decimal | None:
    """Return the annual trend of a category, cost and utilization together; None where it is not given."""
    cost, use = (draft.value(f"trend_y1_{part}_{category}") for part in ("cost", "util"))
    return None if cost is None or use is None else CONTEXT.subtract(CONTEXT.multiply(cost, use), Decimal(1))


def _with_trend_inputs(entry: Entry) -> Entry:
    """Return the trend of months of low completion as what it was worked out from; other entries as they are."""
    if entry.name != "experience_annual_trend":
        return entry
    names = tuple(f"trend_y1_{part}_{entry.place}" for part in ("cost", "util"))
    inputs = tuple((name, MARKET) for name in names)
    note = "months of low completion take the trend of year 1"
    return replace(entry, role=COMPUTED, formula=" * ".join(names) + " - 1", inputs=inputs, source="", note=note)


def _days(period: tuple[date, date]) -> tuple[date, date]:
    """Return first and last day of months that are named by their first days."""
    first, last = period
    after = date(last.year + last.month // 12, last.month % 12 + 1, 1)
    return first, after - timedelta(days=1)


# ------------------------------------------------------------------------------------------------ working out


def _one_ratio(draft: Draft, plans: Plans) -> Decimal | None:
    """Return the tobacco ratio that all offered plans have, or None: they differ, or there is none."""
    ratios = {draft.value("tobacco_ratio", plan) for plan in plans.offered}
    return ratios.pop() if len(ratios) == 1 else None


def _give_tobacco(draft: Draft, plans: Plans) -> None:
    """Give plans without a tobacco ratio the factor of tobacco users in the mix."""
    factor = draft.entries.get(("tobacco_factor", "tobacco Y"))
    if factor is None or any(draft.has("tobacco_ratio", plan) for plan in plans.offered):
        return
    if factor.value is not None and factor.value != 1:
        for plan in plans.offered:
            draft.give("tobacco_ratio", factor.value, f"{factor.source}: tobacco Y", place=plan, grain="plan")


def _worked_out(
    draft: Draft,
    plans: Plans,
    areas: Areas,
    mix: Mix | None,
    variants: dict[str, list[str]],
    has_experience: bool,
) -> FilingModel:
    """Return the model of a draft, with all that it takes from its own first results; refuse what cannot be."""
    of_kind = {} if mix is None else mix.of_kind
    places = Places(
        plans.product_of,
        areas.ids,
        of_kind.get("age", ()),
        of_kind.get("tobacco", ()),
        of_kind.get("tier", ()),
    )
    rates_tobacco = any(draft.has("tobacco_ratio", plan) for plan in plans.offered)
    _calibration.give_without_mix(draft, mix, rates_tobacco)
    first = _model(draft, places)
    _calibration.give_nearest_age(draft, first)
    _csr_load.give_csr_load(draft, plans, variants, first)
    method = _calibration.calibration_setting(draft)
    second = _model(draft, places, calibration_method=method)
    missing = _index_rate.missing_of_market(draft, second, has_experience)
    need_values(missing, "assumptions", "give them, 0 or 1 where that is meant")
    need_values(_plan_rates.missing_of_plans(second, plans), "plans", "give them; an absent factor is not 1")
    _index_rate.check_market(draft, second)
    _plan_rates.check_retention(second, plans)
    weight = _plan_rates.weight_in_force(draft, second, plans)
    _round_calibration(draft, second)
    _plan_rates.give_no_change(draft, second, plans)
    model = _model(draft, places, calibration_method=method, rate_change_weight=weight)
    need_values((n for n in CALIBRATIONS if not model.value(n)), "mix", "its member months are zero")
    _index_rate.check_trends(draft)
    _index_rate.check_index_rate(draft, model)
    _plan_rates.check_plans(draft, model, plans)
    if mix is not None:
        _calibration.check_mix(draft, model, mix)
    return model


def _model(draft: Draft, places: Places, **in_force: str) -> FilingModel:
    formulas = Formulas.of({**draft.chosen.as_dict(), **in_force}) if in_force else draft.formulas
    return FilingModel(formulas, draft.given(), places)


def _round_calibration(draft: Draft, model: FilingModel) -> None:
    decimals = draft.chosen.calibration_decimals
    if decimals is None:
        return
    for name in CALIBRATIONS:
        value, formula = model.value(name), model.formula(name)
        if not draft.has(name) and value is not None and formula is not None:
            note = f"rounded to {decimals} decimals: setting calibration_decimals"
            draft.give(
                name,
                rounded(value, decimals),
                formula.rule,
                note=note,
                formula=formula.expression,
                inputs=model.inputs(name),
                replaced=value,
            )


# ------------------------------------------------------------------------------------------------ frames


def _settings_frame(chosen: FilingSettings, rates: RateSettings, model: FilingModel) -> pl.DataFrame:
    """Return all settings, those of rates after those of the filing, and what stood in for a rule of choice."""
    import polars as pl

    weight = model.formulas.get("rate_change_weight", "plan")
    calibration = model.formulas.get("calib_age", "market")
    in_force = [
        (f"{name} in force", formula.setting.partition("=")[2], "follows", formula.rule)
        for name, formula in (("rate_change_weight", weight), ("calibration_method", calibration))
        if formula is not None
    ]
    frame = pl.concat([chosen.frame(), rates.frame()])
    return pl.concat([frame, pl.DataFrame(in_force, schema=frame.schema, orient="row")])


def _uncertain(draft: Draft, rules_of: str, settings: RateSettings) -> pl.DataFrame:
    """Return the uncertain published figures that took part, those of rating factors too."""
    import polars as pl

    identity = draft.identity
    found = draft.figures.uncertain()
    basis = rate_basis(state=rules_of, market=identity.market, plan_year=identity.plan_year, settings=settings)
    basis = basis.filter(pl.col("is_uncertain"), pl.col("source") != "setting")
    lines = [(row["source"], f"{row['figure']}: {row['value']}", "rates", None) for row in basis.to_dicts()]
    return pl.concat([found, pl.DataFrame(lines, schema=found.schema, orient="row")])


def _areas_frame(areas: Areas) -> pl.DataFrame:
    import polars as pl

    lines = sorted((plan, area, float(factor)) for (plan, area), factor in areas.factor_of.items())
    schema = {"plan_id": pl.String, "rating_area_id": pl.String, "area_factor": pl.Float64}
    frame = pl.DataFrame(lines, schema=schema, orient="row")
    return frame.select("rating_area_id", "area_factor", "plan_id") if areas.by_plan else frame.drop("plan_id")


def _mix_frame(mix: Mix | None, model: FilingModel) -> pl.DataFrame:
    import polars as pl

    names = ("member_months", "factor", "contract_months")
    lines = []
    for row in () if mix is None else mix.rows.to_dicts():
        values = (model.value(f"{row['kind']}_{name}", row["place"]) for name in names)
        lines.append((row["kind"], row["level"], row["billable"], *(None if v is None else float(v) for v in values)))
    schema = {"kind": pl.String, "level": pl.String, "billable": pl.String, **dict.fromkeys(names, pl.Float64)}
    return pl.DataFrame(lines, schema=schema, orient="row")


def _variants_frame(entries: list[Entry]) -> pl.DataFrame:
    import polars as pl

    lines = [(*e.place.split(" "), None if e.value is None else float(e.value)) for e in entries]
    schema = {"plan_id": pl.String, "csr_variant": pl.String, "member_months": pl.Float64}
    return pl.DataFrame(lines, schema=schema, orient="row").sort("plan_id", "csr_variant")
