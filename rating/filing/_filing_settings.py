"""Declared settings of a rate filing: every open point of the template and of the methods, with its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from data_specs.errors import InputRefused, SettingRefused
from rating._sourced_settings import SourcedSettings
from rating.filing._numbers import exact

__all__ = ["FAMILY_TIER", "FilingSettings"]

FAMILY_TIER = "family_tier"  # how states without age rating are calibrated; follows from the state, not from a choice
_TEMPLATE = "URR template: the cell formula was not obtainable"
_PRACTICE = "actuarial practice, declared by the issuer"


@dataclass(frozen=True)
class FilingSettings(SourcedSettings):
    """How a rate filing is worked out, where law and template leave it open.

    Attributes
    ----------
    user_fee_convention
        How the exchange user fee enters the market adjusted index rate. ``gross_up``: divided by 1 - fee (default);
        ``add_on``: times 1 + fee; ``amount``: plus ``exchange_fee_pmpm`` dollars.
    csr_sign
        Sign of the cost-sharing reduction in incurred claims = allowed - reinsurance - member cost sharing +/- CSR:
        ``plus`` (default) or ``minus``.
    csr_load
        Which plans carry a load for cost-sharing reductions that nobody pays for. ``given``: each plan's own
        ``adj_csr_load`` (default); ``none``: 1 on all; ``all_silver`` or ``on_exchange_silver``: the market's
        ``csr_load`` on those (given, or computed from variants), 1 elsewhere.
    calibration_method
        ``mean_factor``: 1 / mean factor (default); ``nearest_age``: for age, 1 / the factor of the whole age whose
        factor is nearest to the mean. States with family tiers have a calibration of their own.
    calibration_decimals
        Calibration factors are rounded to so many decimals; None (default): not rounded.
    quarterly_rate_basis
        Small group with a quarterly trend: whether 3.15 is the rate of the first quarter (``first_quarter``, default)
        or the average of the year (``year_average``; needs the shares of the quarters).
    rate_change_definition
        A plan's rate change (1.11) where it is not given. ``premium``: premium of the current enrollees at proposed
        over current rates (default); ``calibrated_rate`` and ``plan_adjusted_index_rate``: 3.15 or 3.11 over that of
        the filing in force, both without changes of rating factors.
    rate_change_weight
        Weight of plans in the change of product and submission. ``premium`` (default): the first of current,
        experience and projected premium that is there for every plan with a change; or one of them,
        ``current_premium``, ``experience_premium``, ``projected_premium``, or ``projected_member_months``.
    terminated_plan_value
        What 3.11 and 3.15 of a terminated plan hold (0).
    rules_of_state
        State whose age curve, tiers and ceilings hold; None (default): the state of the filing.
    factor_decimals
        Decimals of factors that come out of a regression or an average when they become an assumption (4).
    bridge_order
        ``chain``: one step after the other, in order (default); ``symmetric``: the mean of the chain and its reverse.
    full_credibility_member_months
        Member months at which experience has full credibility; no default: the issuer declares it. With it, the
        credibility is worked out where it is not given.
    development_months
        How many incurred months an age-to-age factor is taken over; None (default): all.
    tail_factor
        Development after the last lag of the triangle (1).
    low_completion
        Below this completion, incurred claims are replaced by trended PMPM of complete months (0.6); 0: never.
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {
        "user_fee_convention": ("gross_up", "add_on", "amount"),
        "csr_sign": ("plus", "minus"),
        "csr_load": ("given", "none", "all_silver", "on_exchange_silver"),
        "calibration_method": ("mean_factor", "nearest_age"),
        "quarterly_rate_basis": ("first_quarter", "year_average"),
        "rate_change_definition": ("premium", "calibrated_rate", "plan_adjusted_index_rate"),
        "rate_change_weight": (
            "premium",
            "current_premium",
            "experience_premium",
            "projected_premium",
            "projected_member_months",
        ),
        "bridge_order": ("chain", "symmetric"),
    }
    NUMBERS: ClassVar[tuple[str, ...]] = ("factor_decimals",)
    WHOLE_OR_NONE: ClassVar[tuple[str, ...]] = (
        "calibration_decimals",
        "full_credibility_member_months",
        "development_months",
    )
    DECIMALS: ClassVar[dict[str, tuple[str, str]]] = {
        "terminated_plan_value": ("0", "0"),
        "tail_factor": ("1", "10"),
        "low_completion": ("0", "1"),
    }
    BASIS: ClassVar[Mapping[str, str]] = {
        "user_fee_convention": f"45 CFR 156.80(d)(1); open. {_TEMPLATE}",
        "csr_sign": f"worksheet 2, incurred claims; open. {_TEMPLATE}",
        "csr_load": "45 CFR 156.80(d)(2)(i) as amended; states differ",
        "calibration_method": "worksheet 2, 3.12-3.14: filed plans agree with the mean factor; nearest age is older",
        "calibration_decimals": "worksheet 2, 3.12-3.14: filed factors are printed to four decimals",
        "quarterly_rate_basis": f"45 CFR 156.80(d)(3); open. {_TEMPLATE}",
        "rate_change_definition": "45 CFR 154.200(b): average increase of all enrollees, rating factors included",
        "rate_change_weight": "45 CFR 154.200(b): weighted by premium volume; which year's is open",
        "terminated_plan_value": "filed templates: 0 in 3.15 (single source); 3.11 is open",
        "rules_of_state": "45 CFR 147.102: a state's curve, tiers and ratios hold in it",
        "factor_decimals": "filed templates hold factors to four decimals",
        "bridge_order": "design: a chain depends on its order, the mean of the chain and its reverse does not",
        "full_credibility_member_months": "ASOP 25: the issuer declares its standard",
        "development_months": _PRACTICE,
        "tail_factor": _PRACTICE,
        "low_completion": "practice: 0.5 to 0.7 in use",
    }

    user_fee_convention: str = "gross_up"
    csr_sign: str = "plus"
    csr_load: str = "given"
    calibration_method: str = "mean_factor"
    calibration_decimals: int | None = None
    quarterly_rate_basis: str = "first_quarter"
    rate_change_definition: str = "premium"
    rate_change_weight: str = "premium"
    terminated_plan_value: Decimal = Decimal(0)
    rules_of_state: str | None = None
    factor_decimals: int = 4
    bridge_order: str = "chain"
    full_credibility_member_months: int | None = None
    development_months: int | None = None
    tail_factor: Decimal = Decimal(1)
    low_completion: Decimal = Decimal("0.6")

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        """Return a value as it is kept; numbers are checked here, see :class:`data_specs._declared.Declared`.

        Raises
        ------
        SettingRefused
            The setting cannot have this value.

        Examples
        --------
        >>> FilingSettings.of({"low_completion": 0.5}).low_completion
        Decimal('0.5')
        >>> FilingSettings.of({"full_credibility_member_months": 0})
        Traceback (most recent call last):
            ...
        data_specs.errors.SettingRefused: setting 'full_credibility_member_months' cannot be 0...
        """
        if name in cls.WHOLE_OR_NONE:
            least = 0 if name == "calibration_decimals" else 1
            if value is None or (hasattr(value, "__index__") and not isinstance(value, bool) and int(value) >= least):
                return value
            raise _refused(name, value, f"a whole number, at least {least}, or None")
        if name in cls.DECIMALS:
            return _between(name, value, *cls.DECIMALS[name])
        if name == "rules_of_state":
            if value is None or (isinstance(value, str) and len(value) == 2 and value.isalpha() and value.isupper()):
                return value
            raise _refused(name, value, "two capital letters, or None: the state of the filing")
        return super()._checked(name, value)


def _between(name: str, value: Any, low: str, high: str) -> Decimal:
    try:
        number = exact(value, name)
    except InputRefused:
        raise _refused(name, value, "a decimal number") from None
    if not Decimal(low) <= number <= Decimal(high):
        raise _refused(name, value, f"{low}" if low == high else f"{low} to {high}")
    return number


def _refused(name: str, value: Any, kind: str) -> SettingRefused:
    return SettingRefused(f"setting {name!r} cannot be {value!r}", rule=kind, remedy=f"write {kind}")
