"""Membership by cost-sharing variant, and the load for cost-sharing reductions that nobody pays for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from data_specs import _frames
from rating._frame_rows import collected
from rating.filing._draft import Draft
from rating.filing._filing_input import Plans, read_numbers
from rating.filing._findings import listed, refusal, refuse_rows
from rating.filing._ledger import COMPUTED, MARKET, Entry, Key
from rating.filing._model import FilingModel
from rating.filing._numbers import CONTEXT, rounded

__all__ = ["give_csr_load", "plans_with_load", "read_variants", "variant_membership"]

STANDARD = ("00", "01")  # off and on the exchange, without reductions
_SHARE = "variant_share"
_WORTH = {"paid_to_allowed": "share", "induced_demand": "positive"}  # with their limits
_TOLERANCE = Decimal("1e-6")  # of shares that add to one


def read_variants(frame: Any, draft: Draft, plans: Plans) -> dict[str, list[str]]:
    """Return plan -> its variants, and give shares and worths of variants to the draft.

    ``variants`` has ``plan_id``, ``csr_variant``, and ``share`` (of the plan's member months) or ``member_months``; for
    a load that is worked out, ``paid_to_allowed`` and ``induced_demand`` too.

    Raises
    ------
    InputRefused
        A row is unreadable or stands twice, a plan is not known, or shares of a plan do not add to one.
    """
    import polars as pl

    variants = collected(frame, "variants", ("plan_id", "csr_variant"))
    ids = _frames.text_column(variants, "variants", "plan_id").str.strip_chars()
    codes = _frames.text_column(variants, "variants", "csr_variant").str.strip_chars()
    broken = ~ids.is_in(plans.offered).fill_null(False).to_numpy()
    refuse_rows("PRC-011", "variants", "plan_id", broken, "a plan is not offered", "name an offered plan")
    broken = ~codes.str.contains(r"^[0-9]{2}$").fill_null(False).to_numpy()
    refuse_rows("PRC-011", "variants", "csr_variant", broken, "a variant is no two digits", "write 01, 04, 05, 06 ...")
    double = pl.DataFrame([ids.alias("p"), codes.alias("c")]).is_duplicated().to_numpy()
    refuse_rows("PRC-011", "variants", "csr_variant", double, "a variant stands twice", "one row each")
    measure = next((c for c in ("share", "member_months") if c in variants.columns), None)
    if measure is None:
        raise refusal("PRC-011", "variants have neither share nor member_months", "variants", "add one of them")
    weights = read_numbers(variants[measure], "variants", "not_negative")
    blank = np.array([weight is None for weight in weights])
    refuse_rows("PRC-011", "variants", measure, blank, f"a variant has no {measure}", "write 0 where there is none")
    of_plan: dict[str, list[str]] = {}
    total: dict[str, Decimal] = {}
    for plan, code, weight in zip(ids, codes, weights, strict=True):
        of_plan.setdefault(plan, []).append(code)
        total[plan] = CONTEXT.add(total.get(plan, Decimal(0)), weight or Decimal(0))
    off = [p for p, t in total.items() if t == 0 or (measure == "share" and abs(t - 1) > _TOLERANCE)]
    if off:
        said = "shares do not add to one" if measure == "share" else "no member months"
        raise refusal("PRC-011", f"{listed(off)}: {said}", f"variants, column {measure}", "mend the shares")
    given = {name: limits for name, limits in _WORTH.items() if name in variants.columns}
    worth = {name: read_numbers(variants[name], "variants", limits) for name, limits in given.items()}
    places = [f"{plan} {code}" for plan, code in zip(ids, codes, strict=True)]
    for place, row in sorted(zip(places, range(len(places)), strict=True)):
        source = f"variants, {place}"
        share = CONTEXT.divide(weights[row] or Decimal(0), total[ids[row]])
        draft.offer(Entry(_SHARE, place, share, "ratio", source=source))
        for name, values in worth.items():
            if values[row] is not None:
                draft.offer(Entry(f"variant_{name}", place, values[row], "factor", source=source))
    return {plan: sorted(codes) for plan, codes in sorted(of_plan.items())}


def plans_with_load(draft: Draft, plans: Plans) -> list[str]:
    """Return the offered plans that carry the load under the setting ``csr_load``.

    Raises
    ------
    InputRefused
        The setting is ``on_exchange_silver`` and a silver plan does not say where it is sold.
    """
    silver = [plan for plan in plans.offered if plans.metal_of[plan] == "silver"]
    if draft.chosen.csr_load == "all_silver":
        return silver
    if draft.chosen.csr_load != "on_exchange_silver":
        return []
    unknown = [plan for plan in silver if plans.on_exchange[plan] is None]
    if unknown:
        raise refusal(
            "PRC-012", f"{listed(unknown)}: on_exchange is not said", "plans, column on_exchange", "write yes or no"
        )
    return [plan for plan in silver if plans.on_exchange[plan]]


def give_csr_load(draft: Draft, plans: Plans, variants: dict[str, list[str]], model: FilingModel) -> None:
    """Give the CSR load of every offered plan, by the setting ``csr_load``.

    Where the market's ``csr_load`` is not given it is worked out: over the plans that carry it, the sum over variants
    of member months x paid-to-allowed x induced demand, over the same with the standard variant of each plan. It is
    rounded to ``factor_decimals``; the unrounded value stays in the ledger.

    Raises
    ------
    InputRefused
        The load is to be worked out, and a plan that carries it has no variants, or a variant lacks its figures.
    """
    if draft.chosen.csr_load == "given":
        return
    loaded = plans_with_load(draft, plans)
    if loaded and not draft.has("csr_load"):
        draft.offer(_computed_load(draft, loaded, variants, model))
    for plan in plans.offered:
        if plan not in loaded:
            reason = f"setting csr_load: {draft.chosen.csr_load}"
            _replace(draft, Entry("adj_csr_load", plan, Decimal(1), "factor", source=reason))
            continue
        value = draft.value("csr_load")
        key: Key = ("csr_load", MARKET)
        _replace(draft, Entry("adj_csr_load", plan, value, "factor", COMPUTED, "csr_load", (key,)))


def _replace(draft: Draft, entry: Entry) -> None:
    """Put the load of the setting in the place of the plan's own, which stays beside it."""
    own = draft.entries.pop(entry.key, None)
    draft.offer(entry)
    if own is not None and own.value != entry.value:
        draft.findings.add(
            "PRC-012", f"plan {entry.place}", f"its own adj_csr_load is not used: setting {draft.chosen.csr_load}"
        )


def _computed_load(draft: Draft, loaded: list[str], variants: dict[str, list[str]], model: FilingModel) -> Entry:
    without = [plan for plan in loaded if plan not in variants]
    if without:
        raise refusal(
            "PRC-012",
            f"{listed(without)}: no variants to work the load out from",
            "variants",
            "hand in csr_load, or share, paid_to_allowed and induced_demand of each variant",
        )
    total = standard_total = Decimal(0)
    inputs: list[Key] = []
    for plan in loaded:
        months = model.value("proj_member_months_plan", plan) or Decimal(0)
        inputs.append(("proj_member_months_plan", plan))
        standard = next((code for code in STANDARD if code in variants[plan]), None)
        if standard is None:
            raise refusal("PRC-012", f"{plan}: no standard variant", "variants", "add 01 (or 00, off the exchange)")
        base = _worth(draft, f"{plan} {standard}")
        for code in variants[plan]:
            place = f"{plan} {code}"
            share = draft.value(_SHARE, place) or Decimal(0)
            weight = CONTEXT.multiply(months, share)
            total = CONTEXT.add(total, CONTEXT.multiply(weight, _worth(draft, place)))
            standard_total = CONTEXT.add(standard_total, CONTEXT.multiply(weight, base))
            inputs += [(_SHARE, place), *((f"variant_{name}", place) for name in _WORTH)]
    if standard_total == 0:
        raise refusal("PRC-012", "no member months in silver plans to work a CSR load out", "variants", "give csr_load")
    exact = CONTEXT.divide(total, standard_total)
    return Entry(
        "csr_load",
        MARKET,
        rounded(exact, draft.chosen.factor_decimals),
        "factor",
        COMPUTED,
        "sum of member months x paid-to-allowed x induced demand of each variant / the same at the standard variant",
        tuple(inputs),
        note=f"rounded to {draft.chosen.factor_decimals} decimals",
        replaced=exact,
    )


def _worth(draft: Draft, place: str) -> Decimal:
    parts = [draft.value(f"variant_{name}", place) for name in _WORTH]
    if parts[0] is None or parts[1] is None:
        raise refusal(
            "PRC-012",
            f"variant {place}: no paid_to_allowed or induced_demand",
            "variants",
            "add both columns, or give csr_load",
        )
    return CONTEXT.multiply(parts[0], parts[1])


def variant_membership(draft: Draft, variants: dict[str, list[str]], model: FilingModel) -> list[Entry]:
    """Return the projected member months of each plan and variant."""
    found = []
    for plan, codes in variants.items():
        months = model.value("proj_member_months_plan", plan)
        for code in codes:
            place = f"{plan} {code}"
            share = draft.value(_SHARE, place)
            value = None if months is None or share is None else CONTEXT.multiply(months, share)
            inputs: tuple[Key, ...] = (("proj_member_months_plan", plan), (_SHARE, place))
            words = f"proj_member_months_plan * {_SHARE}"
            found.append(Entry("variant_member_months", place, value, "member_months", COMPUTED, words, inputs))
    return found
