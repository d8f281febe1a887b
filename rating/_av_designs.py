"""Designs as typed objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from rating._av_design_table import columns_of_design_table

__all__ = ["Design", "ServiceTerms", "columns_of_design_table"]


@dataclass(frozen=True, kw_only=True)
class ServiceTerms:
    """How one service is shared; blank: the default of the calculator.

    Attributes
    ----------
    subject_to_deductible, subject_to_coinsurance : bool
        Default true.
    copay : float, optional
        Dollars; blank: none.
    plan_coinsurance : float, optional
        The plan's share; blank: the general one. 0 is not blank: then the enrollee pays everything.
    copay_after_deductible : bool
        The copay is charged once the deductible is met.
    """

    subject_to_deductible: bool = True
    subject_to_coinsurance: bool = True
    copay: float | None = None
    plan_coinsurance: float | None = None
    copay_after_deductible: bool = False


@dataclass(frozen=True, kw_only=True)
class Design:
    """One plan design; money in dollars, self-only and in network, coinsurance the plan's share.

    Attributes are the keys of the mapping that :func:`rating.actuarial_value` reads; those that are None are left out.

    Examples
    --------
    >>> bronze = Design(deductible=7000, moop=7000, plan_coinsurance=1.0, services={"generic": ServiceTerms(copay=10)})
    >>> bronze.mapping()["services"]["generic"]["copay"]
    10
    """

    deductible_type: str = "integrated"
    name: str | None = None
    plan_id: str | None = None
    csr_variant: str | None = None
    market: str | None = None
    desired_metal: str | None = None
    is_hdhp: bool | None = None
    filed_av: float | None = None
    filed_source: str | None = None
    deductible: float | None = None
    deductible_medical: float | None = None
    deductible_drug: float | None = None
    plan_coinsurance: float | None = None
    plan_coinsurance_medical: float | None = None
    plan_coinsurance_drug: float | None = None
    moop: float | None = None
    moop_medical: float | None = None
    moop_drug: float | None = None
    table_metal: str | None = None
    services: Mapping[str, ServiceTerms] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    tier1_utilization: float | None = None
    tier2: Mapping[str, Any] | None = None

    def mapping(self) -> dict[str, Any]:
        """Return the design as the plain mapping."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        if self.tier2 is not None:
            plain["tier2"] = {**self.tier2}
            if "services" in self.tier2:
                plain["tier2"]["services"] = _plain_services(self.tier2["services"])
        return {**plain, "services": _plain_services(self.services), "options": dict(self.options)}


def _plain_services(services: Mapping[str, Any]) -> dict[str, Any]:
    """Return the terms of services as plain mappings."""
    names = [f.name for f in fields(ServiceTerms)]
    return {
        service: {name: getattr(own, name) for name in names if getattr(own, name) is not None}
        if isinstance(own, ServiceTerms)
        else own
        for service, own in services.items()
    }
