"""Which version of a claim stands: a replacement takes the place of its original, a void removes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

__all__ = ["newest_fills", "newest_versions"]

_FILL_KEY = ("enrollee_id", "plan_id", "rx_reference_number", "fill_number", "dispensing_provider_id")


def newest_versions(claims: pl.DataFrame) -> pl.DataFrame:
    """Return claims with `version_reason`: why a claim is not the version that stands, else null.

    Claims linked by original_claim_id are versions of one claim. The one processed last stands (without processed_at,
    the one furthest along the chain); when it is a void, none does. A denied claim is no version of anything.
    """
    import polars as pl

    no_text = pl.lit(None, dtype=pl.String)
    kind = pl.col("void_replace") if "void_replace" in claims.columns else no_text
    link = pl.col("original_claim_id") if "original_claim_id" in claims.columns else no_text
    denied = pl.col("is_denied").cast(pl.Boolean).fill_null(False) if "is_denied" in claims.columns else pl.lit(False)
    own = claims.with_columns(kind.str.to_uppercase().alias("_kind"), link.alias("_link"), denied.alias("_denied"))
    links = own.filter(pl.col("_link").is_not_null() & ~pl.col("_denied"))
    linked = pl.col("claim_id").is_in(pl.concat([links["claim_id"], links["_link"]]).implode()) & ~pl.col("_denied")
    alone = pl.when("_denied").then(pl.lit("denied claim")).when(pl.col("_kind") == "V").then(pl.lit("void record"))
    plain = own.filter(~linked).with_columns(alone.alias("version_reason"))
    chained = own.filter(linked)
    root, depth = _chains(chained["claim_id"].to_list(), chained["_link"].to_list())
    chained = chained.with_columns(pl.Series("_root", root, pl.String), pl.Series("_depth", depth, pl.Int64))
    chained = _standing(chained, ["_root"]).drop("_root", "_depth")
    return pl.concat([plain, chained]).drop("_kind", "_link", "_denied").sort("claim_id")


def _chains(ids: list[str], links: list[str | None]) -> tuple[list[str], list[int]]:
    """Return each claim's first claim of the chain, and how many links away that is; a circle ends where it closes."""
    previous = {i: link for i, link in zip(ids, links, strict=True) if link is not None}
    roots, depths = [], []
    for claim in ids:
        seen = {claim}
        at, depth = claim, 0
        while at in previous and previous[at] not in seen:
            at = previous[at]
            seen.add(at)
            depth += 1
        roots.append(at)
        depths.append(depth)
    return roots, depths


def newest_fills(fills: pl.DataFrame) -> pl.DataFrame:
    """Return pharmacy claims with `version_reason`; versions share the prescription key."""
    import polars as pl

    key = [c for c in _FILL_KEY if c in fills.columns]
    no_text = pl.lit(None, dtype=pl.String)
    if "void_replace" not in fills.columns or "rx_reference_number" not in key:
        return fills.with_columns(no_text.alias("version_reason"))
    kind = pl.col("void_replace").str.to_uppercase()
    own = fills.with_columns(kind.alias("_kind"), kind.is_not_null().cast(pl.Int64).alias("_depth"))
    versioned = own.with_columns(pl.col("_kind").is_not_null().any().over(key).alias("_versioned"))
    plain = versioned.filter(~pl.col("_versioned")).with_columns(no_text.alias("version_reason"))
    chained = _standing(versioned.filter("_versioned"), key)
    return pl.concat([plain, chained], how="diagonal").drop("_kind", "_depth", "_versioned")


def _standing(own: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    import polars as pl

    order = ["processed_at", "_depth"] if "processed_at" in own.columns else ["_depth"]
    rank = pl.struct(*order, "claim_id").rank("ordinal").over(key)
    newest = rank == pl.len().over(key)
    void_stands = ((pl.col("_kind") == "V").fill_null(False) & newest).any().over(key)
    reason = (
        pl.when((pl.col("_kind") == "V").fill_null(False))
        .then(pl.lit("void record"))
        .when(void_stands)
        .then(pl.lit("voided"))
        .when(~newest)
        .then(pl.lit("replaced by a newer version"))
    )
    return own.with_columns(reason.alias("version_reason"))
