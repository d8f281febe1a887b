"""Declared settings of re-adjudication: every open point of how a claim system reads a design, with its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rating._sourced_settings import SourcedSettings

__all__ = ["AdjudicationSettings"]


@dataclass(frozen=True)
class AdjudicationSettings(SourcedSettings):
    """How the open points of a design are taken when claims are adjudicated.

    Attributes
    ----------
    exempt_coinsurance
        Coinsurance of a service that is exempt from the deductible and has no copay. ``from_first_dollar``: it is
        charged whether the deductible is met or not (default). ``after_deductible``: the plan pays in full until the
        deductible is met, as the actuarial value calculator takes it.
    copay_with_coinsurance
        A copay on a service under coinsurance. ``below_deductible``: it stands alone before the deductible is met, and
        coinsurance stands alone afterwards (default), as in the calculator. ``always``: copay first, then coinsurance
        of the rest.
    tier_accumulators
        Two network tiers. ``shared``: what is paid in one tier counts in the other, each line against the deductible
        and limit of its own tier (default). ``separate``: each tier has accumulators of its own.
    coinsurance_is
        Whose share the coinsurances of the designs are: ``plan``, or ``enrollee``, which are turned round. ``not_said``
        (default): they are read as the plan's, and one below one half is asked about (AVC-064).
    outside_plan_year
        Lines whose date lies outside of the plan year. ``reject`` (default), or ``keep``: for plan years that are no
        calendar years.
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {
        "exempt_coinsurance": ("from_first_dollar", "after_deductible"),
        "copay_with_coinsurance": ("below_deductible", "always"),
        "tier_accumulators": ("shared", "separate"),
        "coinsurance_is": ("not_said", "plan", "enrollee"),
        "outside_plan_year": ("reject", "keep"),
    }
    BASIS: ClassVar[dict[str, str]] = {
        "exempt_coinsurance": "our reading: an issuer charges what its contract says; the calculator differs",
        "copay_with_coinsurance": "actuarial value calculator of 2026 as ported; contracts differ",
        "tier_accumulators": "45 CFR 156.130(c): one limit for the network; deductibles of tiers are the contract's",
        "coinsurance_is": "calculator of the year: coinsurance is the plan's share",
        "outside_plan_year": "accumulators begin anew with the plan year",
    }

    exempt_coinsurance: str = "from_first_dollar"
    copay_with_coinsurance: str = "below_deductible"
    tier_accumulators: str = "shared"
    coinsurance_is: str = "not_said"
    outside_plan_year: str = "reject"
