"""What an audit hands in: sample, HCCs, counts of HCCs, facts of issuers. Checked, sorted by key, codes alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames, _registry
from data_specs.errors import InputRefused, TableMissing
from riskadjust._corridor_plans import keyed_frame
from riskadjust._refusals import LARGEST, Refusals, number_columns, rule_text

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings

__all__ = ["LABEL_TABLE", "MODELS", "Audit", "count_columns", "known_hccs", "plain_hcc", "read_audit"]

SAMPLE, HCCS, COUNTS, ISSUERS = "sample", "hccs", "counts", "issuers"
LABEL_TABLE = "hhs_hcc/hcc_label"
MODELS = ("adult", "child", "infant")
LARGEST_SCORE = 1e6
_FLAGS = ("is_exiting", "is_sole_issuer")
_SIZES = ("billable_member_months", "premium", "sample_size")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Audit:
    """The checked frames of one audit; frames that were not handed in have no rows.

    Attributes
    ----------
    keys : tuple of str
        What names an issuer: issuer_id, and state before it where the frames have it.
    sample : DataFrame
        Sorted by issuer and enrollee: stratum, stratum_weight, risk_score, model (blank where it does not matter).
    hccs : DataFrame
        Sorted by issuer, enrollee and HCC: hcc as in the tables, is_submitted, is_found, hcc_score, model.
    counts : DataFrame
        Sorted by issuer and HCC: hcc, model, submitted_hccs, found_hccs.
    issuers : DataFrame
        issuer key, is_exiting, is_sole_issuer, billable_member_months, premium, sample_size; null: not given.
    """

    keys: tuple[str, ...]
    sample: pl.DataFrame
    hccs: pl.DataFrame
    counts: pl.DataFrame
    issuers: pl.DataFrame

    def without(self, issuers: pl.DataFrame, rule_id: str, findings: Findings) -> Audit:
        """Return the audit without the rows of some issuers, which are kept with the findings."""
        parts = {SAMPLE: self.sample, HCCS: self.hccs, COUNTS: self.counts}
        kept = {}
        for name, frame in parts.items():
            out = frame.join(issuers, on=self.keys, how="semi", maintain_order="left")
            if out.height:
                findings.refuse(rule_id, name, out)
            kept[name] = frame.join(issuers, on=self.keys, how="anti", maintain_order="left")
        return Audit(self.keys, kept[SAMPLE], kept[HCCS], kept[COUNTS], self.issuers)


def plain_hcc(column: str) -> pl.Expr:
    """Return an expression of an HCC code as the tables write it: HCC and three digits, a part after an underscore.

    Examples
    --------
    >>> import polars as pl
    >>> pl.DataFrame({"hcc": ["20", "hcc035_1", "HCC008 "]}).select(plain_hcc("hcc"))["hcc"].to_list()
    ['HCC020', 'HCC035_1', 'HCC008']
    """
    import polars as pl

    text = pl.col(column).str.strip_chars().str.to_uppercase().str.strip_prefix("HCC").str.strip_chars(" _")
    number, part = text.str.extract("^([0-9]{1,3})", 1), text.str.extract("^[0-9]{1,3}(_[0-9])$", 1)
    is_code = text.str.contains("^[0-9]{1,3}(_[0-9])?$")
    code = pl.concat_str(pl.lit("HCC"), number.str.zfill(3), part.fill_null(""))
    return pl.when(is_code).then(code).otherwise(pl.col(column).str.strip_chars()).alias(column)


def known_hccs(year: int, by_model: bool, findings: Findings) -> pl.DataFrame:
    """Return model, hcc: the payment HCCs of a year; of any model under model "" where models do not matter."""
    import polars as pl

    try:
        labels = _registry.rows(LABEL_TABLE, year=year)
    except TableMissing:
        held = _registry.rows(LABEL_TABLE)
        nearest = min(held["benefit_year"].unique().to_list(), key=lambda y: (abs(y - year), y))
        labels = held.filter(pl.col("benefit_year") == nearest)
        findings.note("RDV-041", HCCS, 1)
    of_model = [
        labels.filter(pl.col(f"{model}_payment")).select(pl.lit(model).alias("model"), "hcc") for model in MODELS
    ]
    found = pl.concat(of_model)
    if not by_model:
        found = found.select(pl.lit("").alias("model"), "hcc").unique()
    return found.sort("model", "hcc")


def read_audit(given: Any, known: pl.DataFrame, *, by_model: bool, sample_size: float, findings: Findings) -> Audit:
    """Return the frames of an audit, checked.

    Parameters
    ----------
    given : mapping
        ``sample`` and ``hccs``, or ``counts``, or all three; ``issuers``.
    known : DataFrame
        model, hcc of the year.
    by_model : bool
        Whether HCCs are counted by model, so that it must be known.
    sample_size : float
        Enrollees of a sample of which only counts are known, where the issuer says nothing.

    Raises
    ------
    InputRefused
        Rules RDV-001 to RDV-014; rows are named by number, never by a value.
    """
    frames = _frames_of(given)
    keys = _keys(frames)
    sample = _read_sample(frames.get(SAMPLE), keys, by_model)
    issuers = _read_issuers(frames.get(ISSUERS), keys)
    hccs = _read_hccs(frames.get(HCCS), keys, sample, known)
    counts = _read_counts(frames.get(COUNTS), keys, known, by_model)
    _check_counts(counts, sample, issuers, keys, sample_size)
    for name, frame in ((SAMPLE, sample), (HCCS, hccs), (COUNTS, counts), (ISSUERS, issuers)):
        if name in frames:
            findings.table(name, frame.height)
    return Audit(
        keys,
        sample.drop("_row"),
        _without_empty(hccs, findings).drop("_row"),
        counts.drop("_row"),
        issuers.drop("_row"),
    )


def _frames_of(given: Any) -> dict[str, Any]:
    known = (SAMPLE, HCCS, COUNTS, ISSUERS)
    if not isinstance(given, Mapping) or not set(given) <= set(known):
        shown = ", ".join(map(repr, known))
        raise InputRefused("an audit is a mapping of frames", where="audit", remedy=f"name the frames {shown}")
    frames = {name: frame for name, frame in given.items() if frame is not None}
    if (SAMPLE in frames) != (HCCS in frames) or not ({SAMPLE, COUNTS} & set(frames)):
        raise InputRefused(
            "an audit has a sample and its HCCs, or counts of HCCs, or all of them",
            where="audit: " + (", ".join(frames) or "no frame"),
            remedy="hand in sample and hccs together; an HCC frame without rows says that nobody has one",
        )
    return frames


def _keys(frames: dict[str, Any]) -> tuple[str, ...]:
    import polars as pl

    has_state = {}
    for name, frame in frames.items():
        if not isinstance(frame, pl.DataFrame | pl.LazyFrame):
            raise InputRefused(
                f"{name} is a {type(frame).__name__}", where=name, remedy="hand in a polars DataFrame or LazyFrame"
            )
        has_state[name] = "state" in frame.lazy().collect_schema()
    if any(has_state.values()) and not all(has_state.values()):
        lacking = ", ".join(name for name, has in has_state.items() if not has)
        raise InputRefused(
            f"some frames of the audit have a state, and not {lacking}", where=lacking, remedy="add it, or leave it out"
        )
    return ("state", "issuer_id") if any(has_state.values()) else ("issuer_id",)


def _empty(text: tuple[str, ...], numbers: tuple[str, ...], flags: tuple[str, ...] = ()) -> pl.DataFrame:
    import polars as pl

    schema: dict[str, Any] = dict.fromkeys(text, pl.String) | dict.fromkeys(numbers, pl.Float64)
    return pl.DataFrame(schema=schema | dict.fromkeys(flags, pl.Boolean) | {"_row": pl.Int64})


def _sorted(frame: pl.DataFrame, keys: tuple[str, ...]) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Return rows sorted by key with where each stood in the input, from 0."""
    import polars as pl

    frame = frame.with_row_index("_row").with_columns(pl.col("_row").cast(pl.Int64)).sort(keys)
    return frame, frame["_row"].to_numpy()


def _models(frame: pl.DataFrame, table: str, by_model: bool) -> pl.DataFrame:
    """Return a frame with its model in lower case where models matter, else blank."""
    import polars as pl

    if not by_model:
        return frame.with_columns(pl.lit("").alias("model"))
    if "model" not in frame.columns:
        raise InputRefused(
            f"{table} has no column 'model', and HCCs of this year are counted by model",
            where=table,
            rule=rule_text("RDV-005"),
            remedy='add it (adult, child, infant), or choose settings={"super_hcc": "sorting"} knowingly',
        )
    model = _frames.text_column(frame, table, "model").str.strip_chars().str.to_lowercase()
    return frame.with_columns(model)


def _no_model(frame: pl.DataFrame, by_model: bool) -> Mask:
    """Return the rows whose model is none of the three, where that matters."""
    is_known = frame["model"].is_in(MODELS).fill_null(False).to_numpy()
    return np.asarray(~is_known if by_model else np.zeros(frame.height, bool))


# ------------------------------------------------------------------------------------------------ sample and HCCs


def _read_sample(given: Any, keys: tuple[str, ...], by_model: bool) -> pl.DataFrame:
    import polars as pl

    text, numbers = (*keys, "enrollee_id", "stratum", "model"), ("stratum_weight", "risk_score")
    if given is None:
        return _empty(text, numbers)
    frame = keyed_frame(given, SAMPLE, ("stratum", *numbers), (*keys, "enrollee_id"), "RDV-001")
    if frame.schema["stratum"].is_integer():
        frame = frame.with_columns(pl.col("stratum").cast(pl.String))
    frame = frame.with_columns(_frames.text_column(frame, SAMPLE, "stratum").str.strip_chars())
    frame, row = _sorted(_models(frame, SAMPLE, by_model), (*keys, "enrollee_id"))
    refusals, values = Refusals(SAMPLE, row), number_columns(frame, SAMPLE, numbers)
    weight, score = values["stratum_weight"], values["risk_score"]
    refusals.add("RDV-002", "stratum", (frame["stratum"].fill_null("") == "").to_numpy())
    refusals.add("RDV-003", "stratum_weight", ~((weight > 0) & (weight < LARGEST)))
    of_stratum = pl.col("stratum_weight").fill_null(-1.0).n_unique().over(*keys, "stratum")
    weights = frame.select(*keys, "stratum", pl.Series("stratum_weight", weight).fill_nan(-1.0))
    refusals.add("RDV-003", "stratum_weight", (weights.select(of_stratum).to_series() > 1).to_numpy())
    refusals.add("RDV-004", "risk_score", ~((score >= 0) & (score < LARGEST_SCORE)))
    refusals.add("RDV-005", "model", _no_model(frame, by_model))
    refusals.check()
    return frame.select(*text, *[pl.Series(c, values[c]) for c in numbers], "_row")


def _read_hccs(given: Any, keys: tuple[str, ...], sample: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    text, flags = (*keys, "enrollee_id", "hcc", "model"), ("is_submitted", "is_found")
    if given is None or given.lazy().select(pl.len()).collect().item() == 0:
        return _empty(text, ("hcc_score",), flags)
    given = given.lazy().collect()
    _frames.need_columns(given, HCCS, (*keys, "enrollee_id", "hcc", *flags, "hcc_score"))
    _need_flags(given, HCCS, flags)
    given = given.with_columns(_frames.text_column(given, HCCS, "hcc")).with_columns(plain_hcc("hcc"))
    frame = keyed_frame(given, HCCS, (*flags, "hcc_score"), (*keys, "enrollee_id", "hcc"), "RDV-006")
    frame = frame.drop("model", strict=False)
    of_person = sample.select(*keys, "enrollee_id", "model", pl.lit(True).alias("_is_sampled"))
    frame = frame.join(
        of_person, on=[*keys, "enrollee_id"], how="left", maintain_order="left", validate="m:1"
    ).with_columns(pl.col("_is_sampled").fill_null(False))
    frame, row = _sorted(frame, (*keys, "enrollee_id", "hcc"))
    refusals = Refusals(HCCS, row)
    is_sampled = frame["_is_sampled"].to_numpy()
    refusals.add("RDV-007", "enrollee_id", ~is_sampled)
    refusals.add("RDV-008", "hcc", is_sampled & _unknown(frame, known))
    for column in flags:
        refusals.add("RDV-009", column, frame[column].is_null().to_numpy())
    part = number_columns(frame, HCCS, ["hcc_score"])["hcc_score"]
    is_submitted = frame["is_submitted"].fill_null(False).to_numpy()
    refusals.add("RDV-010", "hcc_score", is_submitted & ~((part >= 0) & (part < LARGEST_SCORE)))
    refusals.check()
    # A part of an HCC that was not submitted is not in the score: what is said of it is not used.
    used = pl.Series("hcc_score", np.where(is_submitted, part, 0.0))
    return frame.select(*text, *flags, used, "_row")


def _need_flags(frame: pl.DataFrame, table: str, flags: tuple[str, ...]) -> None:
    import polars as pl

    for column in flags:
        if frame.schema[column] not in (pl.Boolean, pl.Null):
            raise InputRefused(
                f"column {column!r} is {frame.schema[column]}, not true or false",
                where=f"{table}, column {column}",
                rule="FILE-002: a required column has its declared type",
                remedy="cast it to Boolean",
            )


def _unknown(frame: pl.DataFrame, known: pl.DataFrame) -> Mask:
    import polars as pl

    found = frame.select("model", "hcc").join(
        known.with_columns(pl.lit(True).alias("_is_known")),
        on=["model", "hcc"],
        how="left",
        maintain_order="left",
        validate="m:1",
    )
    return np.asarray(found["_is_known"].is_null().to_numpy())


def _without_empty(hccs: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Return the HCCs that were submitted or found; a row that is neither says nothing."""
    import polars as pl

    says_something = pl.col("is_submitted") | pl.col("is_found")
    findings.refuse("RDV-030", HCCS, hccs.filter(~says_something).drop("_row"))
    return hccs.filter(says_something)


# ------------------------------------------------------------------------------------------------ counts and issuers


def count_columns(
    frame: pl.DataFrame, table: str, keys: tuple[str, ...], known: pl.DataFrame, by_model: bool
) -> pl.DataFrame:
    """Return a frame of HCC counts, checked and sorted: keys, hcc, model, submitted_hccs, found_hccs, _row.

    Raises
    ------
    InputRefused
        Rules RDV-005, RDV-008 and RDV-011.
    """
    import polars as pl

    numbers = ("submitted_hccs", "found_hccs")
    _frames.need_columns(frame, table, (*keys, "hcc", *numbers))
    frame = frame.with_columns(_frames.text_column(frame, table, "hcc")).with_columns(plain_hcc("hcc"))
    frame = _models(frame, table, by_model)
    frame = keyed_frame(frame, table, numbers, (*keys, "hcc", "model") if by_model else (*keys, "hcc"), "RDV-011")
    frame, row = _sorted(frame, (*keys, "hcc", "model"))
    refusals, values = Refusals(table, row), number_columns(frame, table, numbers)
    no_model = _no_model(frame, by_model)
    refusals.add("RDV-005", "model", no_model)
    refusals.add("RDV-008", "hcc", ~no_model & _unknown(frame, known))
    for column in numbers:
        count = values[column]
        refusals.add("RDV-011", column, ~((count >= 0) & (count < 1e9) & (np.floor(count) == count)))
    refusals.check()
    whole = [pl.Series(c, values[c].astype(np.int64)) for c in numbers]
    return frame.select(*keys, "hcc", "model", *whole, "_row")


def _read_counts(given: Any, keys: tuple[str, ...], known: pl.DataFrame, by_model: bool) -> pl.DataFrame:
    import polars as pl

    if given is None:
        counts = ("submitted_hccs", "found_hccs")
        return _empty((*keys, "hcc", "model"), counts).with_columns(pl.col(counts).cast(pl.Int64))
    return count_columns(given.lazy().collect(), COUNTS, keys, known, by_model)


def _check_counts(
    counts: pl.DataFrame, sample: pl.DataFrame, issuers: pl.DataFrame, keys: tuple[str, ...], sample_size: float
) -> None:
    """Refuse counts of sampled issuers, and more HCCs than a sample has people to carry them."""
    import polars as pl

    refusals = Refusals(COUNTS, counts["_row"].to_numpy())
    joined = counts.join(
        sample.select(*keys).unique().with_columns(pl.lit(True).alias("_is_sampled")),
        on=keys,
        how="left",
        maintain_order="left",
        validate="m:1",
    ).join(issuers.select(*keys, "sample_size"), on=keys, how="left", maintain_order="left", validate="m:1")
    refusals.add("RDV-012", "issuer_id", joined["_is_sampled"].is_not_null().to_numpy())
    most = joined["sample_size"].fill_null(sample_size).to_numpy()
    for column in ("submitted_hccs", "found_hccs"):
        refusals.add("RDV-013", column, joined[column].to_numpy() > most)
    refusals.check()


def _read_issuers(given: Any, keys: tuple[str, ...]) -> pl.DataFrame:
    import polars as pl

    if given is None:
        return _empty(keys, _SIZES, _FLAGS)
    frame, row = _sorted(keyed_frame(given, ISSUERS, (), keys, "RDV-014"), keys)
    flags, sizes = ([c for c in names if c in frame.columns] for names in (_FLAGS, _SIZES))
    _need_flags(frame, ISSUERS, tuple(flags))
    refusals = Refusals(ISSUERS, row)
    for column in flags:
        refusals.add("RDV-014", column, frame[column].is_null().to_numpy())
    for column, values in number_columns(frame, ISSUERS, sizes).items():
        is_blank = frame[column].is_null().to_numpy()
        refusals.add("RDV-014", column, ~is_blank & ~((values >= 0) & (values < LARGEST)))
    refusals.check()
    missing = [pl.lit(None, pl.Boolean).alias(c) for c in _FLAGS if c not in flags]
    missing += [pl.lit(None, pl.Float64).alias(c) for c in _SIZES if c not in sizes]
    return frame.with_columns(*missing, *[pl.col(c).cast(pl.Float64) for c in sizes]).select(
        *keys, *_FLAGS, *_SIZES, "_row"
    )
