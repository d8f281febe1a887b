"""What the demo leaves of reinsurance: a state program as a what-if, on the claims of the made-up market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from poolwise.cli._failsafes_results import FailsafesOutcome

__all__ = ["FOLDER", "failsafe_inputs", "reinsured_market"]

FOLDER = "failsafes"
_PROGRAMS = "transfers/state_reinsurance_1332"
_LIKE, _YEAR_OF_IT = "WI", 2019  # one attachment, one cap, one share, from a source that was read
_DRAWS = 200  # a thousand would take longer than all the rest of the step


def failsafe_inputs(market: Mapping[str, pl.DataFrame], plan_rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return plan_rows, claims and layers as ``poolwise failsafes`` reads them; the layer is a published one."""
    import polars as pl

    from data_specs import table

    plans = market["plans"].select("plan_id", "issuer_id", "state", "market")
    claims = market["costs"].join(plans, on="plan_id", how="left", validate="m:1", maintain_order="left")
    in_force = (pl.col("first_year") <= _YEAR_OF_IT) & (pl.col("last_year") >= _YEAR_OF_IT)
    (row,) = table(_PROGRAMS).filter(in_force, pl.col("state") == _LIKE).to_dicts()
    layer = {"from_usd": row["attachment_usd"], "to_usd": row["cap_usd"], "share": float(row["coinsurance"])}
    return {
        "plan_rows": plan_rows,
        "claims": claims.select("state", "market", "issuer_id", "enrollee_id", "plan_id", "plan_paid"),
        "layers": pl.DataFrame([layer]),
    }


def reinsured_market(
    market: Mapping[str, pl.DataFrame],
    plan_rows: pl.DataFrame,
    folder: Path,
    *,
    state: str,
    benefit_year: int,
    seed: int,
    begin: Callable[[str], None],
) -> FailsafesOutcome:
    """Write the inputs of the what-if into a folder, and return what the programs make of them."""
    from poolwise.cli._failsafes import Asked, run_programs
    from poolwise.cli._failsafes_inputs import FailsafeInputs
    from poolwise.cli._failsafes_results import FailsafesOutcome

    tables = failsafe_inputs(market, plan_rows)
    (folder / FOLDER).mkdir()
    for name, frame in tables.items():
        frame.write_parquet(folder / FOLDER / f"{name}.parquet", compression="zstd")
    months = float(plan_rows["total_member_months"].sum())
    settings: dict[str, Any] = {"member_months": f"{months:.6f}", "seed": str(seed), "draws": str(_DRAWS)}
    inputs = FailsafeInputs(tables)
    run, left_out = run_programs(Asked(Path(), benefit_year, state=state, settings=settings), inputs, begin)
    notes = [
        *inputs.notes,
        f"the layer is that of {_LIKE} {_YEAR_OF_IT}; {state} has no such program in {benefit_year}",
    ]
    return FailsafesOutcome(run, None, notes, left_out=left_out)
