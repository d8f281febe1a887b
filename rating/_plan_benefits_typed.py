"""Designs in columns as typed objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rating._av_columns import DEDUCTIBLE_TYPES, NOT_SAID, SERVICES, DesignColumns
from rating._av_designs import Design, ServiceTerms
from rating._av_mapping import AMOUNTS, OPTION_AMOUNTS, OPTION_COUNTS, OPTION_FLAGS, SERVICE_FLAGS, WORDS

__all__ = ["typed_designs"]


def typed_designs(
    designs: DesignColumns, names: Sequence[str], plan_ids: Sequence[str], filed_sources: Sequence[str | None]
) -> list[Design]:
    """Return the designs as objects, whose mappings read back as the same columns.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> plain = plain_columns(1, deductible=500.0, plan_coinsurance=0.8, moop=900.0)
    >>> design = typed_designs(plain, ["one"], ["99999XX0010001"], [None])[0]
    >>> design.name, design.deductible, len(design.services), dict(design.options)
    ('one', 500.0, 18, {})
    """
    listed = []
    for row, (name, plan_id, source) in enumerate(zip(names, plan_ids, filed_sources, strict=True)):
        variant, filed = int(designs.csr_variant[row]), float(designs.filed_av[row])
        two: dict[str, Any] = {}
        if designs.tier2 is not None and designs.tier1_share[row] < 1:
            second = Design(**_tier(designs.tier2, row)).mapping()
            kept = (*(key for _, _, key in AMOUNTS[int(designs.deductible_type[row])]), "services", "options")
            two = {
                "tier1_utilization": float(designs.tier1_share[row]),
                "tier2": {key: value for key, value in second.items() if key in kept},
            }
        said: dict[str, Any] = {
            key: words[place] for key, words in WORDS.items() if (place := int(getattr(designs, key)[row])) != NOT_SAID
        }
        listed.append(
            Design(
                name=name,
                plan_id=plan_id,
                csr_variant=None if variant == NOT_SAID else f"{variant:02d}",
                is_hdhp=bool(designs.is_hdhp[row]),
                filed_av=None if np.isnan(filed) else filed,
                filed_source=source,
                **said,
                **_tier(designs, row),
                **two,
            )
        )
    return listed


def _tier(designs: DesignColumns, row: int) -> dict[str, Any]:
    """Return type of deductible, amounts, services and options of a row."""
    kind = int(designs.deductible_type[row])
    amounts = {key: float(getattr(designs, array)[row, places[0]]) for array, places, key in AMOUNTS[kind]}
    flags = {name: getattr(designs, name)[row].tolist() for name in SERVICE_FLAGS}
    copay, share = (_blanks(array[row].tolist()) for array in (designs.copay, designs.coinsurance))
    services = {
        service: ServiceTerms(
            copay=copay[place],
            plan_coinsurance=share[place],
            **{name: bool(of[place]) for name, of in flags.items()},
        )
        for place, service in enumerate(SERVICES)
    }
    options: dict[str, Any] = {key: True for key, array in OPTION_FLAGS.items() if getattr(designs, array)[row]}
    options |= {key: count for key, array in OPTION_COUNTS.items() if (count := int(getattr(designs, array)[row]))}
    for key, array in OPTION_AMOUNTS.items():
        money = float(getattr(designs, array)[row])
        # A cap of 0 is one: then specialty drugs cost nothing; no employer money is none.
        if money > 0 or (money == 0 and array != "employer_money"):
            options[key] = money
    return {"deductible_type": DEDUCTIBLE_TYPES[kind], **amounts, "services": services, "options": options}


def _blanks(values: list[float]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values]
