"""What a quote reads: rates with their plans and places, and households, from CSV or Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs._frames import need_columns
from data_specs.errors import InputRefused, PoolwiseError
from data_specs.formats.folder import unreadable
from poolwise.cli._transfer_inputs import read_table

if TYPE_CHECKING:
    import polars as pl

__all__ = ["RateInputs", "areas_sold", "count_rows", "most_plans", "read_rates", "reading", "scan_households"]

_STEMS = {
    "rates": ("rates", "rate_table"),
    "base_rates": ("base_rates",),
    "plans": ("plans",),
    "areas": ("areas", "rating_areas"),
    "area_factors": ("area_factors",),
    "service_areas": ("service_areas",),
    "zip_counties": ("zip_counties",),
    "households": ("households",),
}
_SUFFIXES = (".csv", ".parquet")
_BESIDE = "rates"  # where the demo keeps what can be quoted
_RULE = "a folder holds rates (plan_id, rating_area_id, age_band, individual_rate) or base_rates (plan_id, base_rate)"
# Names of exchange public use files that differ from ours by more than case.
_ALIASES = {
    "businessyear": "plan_year",
    "marketcoverage": "market",
    "age": "age_band",
    "individualrate": "individual_rate",
    "individualtobaccorate": "individual_tobacco_rate",
    "rateeffectivedate": "effective_date",
    "rateexpirationdate": "expiration_date",
    "primarysubscriberandonedependent": "subscriber_one_dependent",
    "primarysubscriberandtwodependents": "subscriber_two_dependents",
    "primarysubscriberandthreeormoredependents": "subscriber_three_dependents",
    "coupleandonedependent": "couple_one_dependent",
    "coupleandtwodependents": "couple_two_dependents",
    "coupleandthreeormoredependents": "couple_three_dependents",
    "ehbpercenttotalpremium": "ehb_pct_premium",
}
_WHOLE = ("plan_year", "children_charged_max")
_WORDS = ("market", "metal_level")
_FLAGS = ("on_exchange",)
_FLAGS_OF_HOUSEHOLDS = (
    "tobacco_use",
    "seeks_coverage",
    "credit_eligible",
    "is_tribal",
    "has_status_exception",
    "catastrophic_exempt",
)
_SIZE, _AGE, _BIRTH = "tax_household_size", "age", "birth_date"
_TRUTH = {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}


@dataclass(frozen=True)
class RateInputs:
    """The tables of a folder of rates.

    Attributes
    ----------
    frames : dict of DataFrame
        rates or base_rates; plans, areas, service_areas, zip_counties where the folder has them.
    files : dict of path
        The file of each table that was read.
    households : Path or None
        The file of households of the folder.
    notes : list of str
        Remarks for the reader.
    """

    frames: dict[str, pl.DataFrame]
    files: dict[str, Path]
    households: Path | None = None
    notes: list[str] = field(default_factory=list)

    def on_sale(self) -> dict[str, Any]:
        """Return what :func:`rating.quote` takes besides households, year and settings."""
        return {t: self.frames.get(t) for t in ("rates", "base_rates", "plans", "areas", "service_areas")}


def read_rates(place: Path) -> RateInputs:
    """Return the tables of a folder of rates, or of one file of rates.

    Raises
    ------
    InputRefused
        No rates, both kinds of them, a file that cannot be read, or a cell that should hold a number and does not.
    """
    files = {"rates": place} if place.is_file() else _files_of(place)
    if not files.keys() & {"rates", "base_rates"} and (place / _BESIDE).is_dir():
        files = _files_of(place / _BESIDE)
    if {"rates", "base_rates"} <= files.keys():
        raise InputRefused(
            "the folder holds filed rates and base rates: a household could be priced by either",
            where=f"{place}: {files['rates'].name}, {files['base_rates'].name}",
            rule="filed rates are looked up, base rates are multiplied; the two can differ by a cent",
            remedy="leave one of them",
        )
    if not files.keys() & {"rates", "base_rates"}:
        raise InputRefused(
            "there are no rates", where=str(place), rule=_RULE, remedy="add rates.csv or rates.parquet, or base_rates"
        )
    households = files.pop("households", None)
    frames = {table: _typed(_renamed(read_table(path, table)), path) for table, path in files.items()}
    if place.is_file() and "base_rate" in frames["rates"].columns:
        frames["base_rates"], files = frames.pop("rates"), {"base_rates": place}
    if "base_rates" in frames:
        frames["base_rates"] = _with_area_factors(frames, files)
    notes = []
    if "rates" in frames and "area_factors" in files:
        notes.append(f"{files['area_factors'].name} was not read: filed rates hold the factors of their areas")
        del frames["area_factors"], files["area_factors"]
    return RateInputs(frames, files, households, notes)


def _files_of(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputRefused(
            "there is no such file or folder", where=str(folder), remedy="name a folder of rates, or a file"
        )
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        table = next((t for t, stems in _STEMS.items() if file.stem.lower() in stems), None)
        if table is None or file.suffix.lower() not in _SUFFIXES:
            continue
        if table in found:
            raise InputRefused(
                f"two files hold the {table} table",
                where=f"{folder}: {found[table].name}, {file.name}",
                remedy="keep one of them",
            )
        found[table] = file
    return found


def _renamed(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with our names for those of exchange public use files; ours win where both are there."""
    lowered = {c: c.lower() for c in frame.columns}
    return frame.rename({c: _ALIASES[low] for c, low in lowered.items() if _free(low, lowered.values())})


def _free(low: str, names: Any) -> bool:
    return low in _ALIASES and _ALIASES[low] not in names


def _typed(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Return the columns of rates and plans that are no text as what they are, words in our spelling."""
    import polars as pl

    texts = [c for c, d in frame.schema.items() if d == pl.String]
    frame = frame.with_columns(pl.col(c).str.strip_chars().replace("", None) for c in texts)
    whole = [pl.col(c).cast(pl.Int64, strict=False) for c in _WHOLE if c in texts]
    words = [pl.col(c).str.to_lowercase().str.replace_all("[ -]+", "_") for c in _WORDS if c in texts]
    typed = frame.with_columns(*whole, *words, *_truths(frame, _FLAGS))
    if "age_band" in texts:
        band = pl.col("age_band").str.to_lowercase()
        typed = typed.with_columns(pl.when(band == "family option").then(pl.lit("family")).otherwise("age_band"))
    _refuse_lost(frame, typed, dict.fromkeys(_WHOLE, "a whole number") | dict.fromkeys(_FLAGS, "true or false"), path)
    return typed


def _truths(frame: pl.DataFrame | pl.LazyFrame, columns: Sequence[str]) -> list[pl.Expr]:
    """Return columns of text as true and false; what is neither becomes null."""
    import polars as pl

    schema = frame.collect_schema()
    plain = [c for c in columns if schema.get(c) == pl.String]
    return [
        pl.col(c).str.to_lowercase().replace_strict(_TRUTH, default=None, return_dtype=pl.Boolean).alias(c)
        for c in plain
    ]


def _refuse_lost(before: pl.DataFrame, after: pl.DataFrame, wanted: dict[str, str], path: Path) -> None:
    for column, kind in wanted.items():
        if column not in before.columns:
            continue
        lost = before[column].is_not_null() & after[column].is_null()
        if lost.any():
            raise _not_of_its_kind(path, column, kind, int(lost.sum()), int(lost.arg_true()[0]))


def _not_of_its_kind(path: Path, column: str, kind: str, number: int, row: int) -> InputRefused:
    cells = "1 cell" if number == 1 else f"{number:,} cells"
    return InputRefused(
        f"{cells} of column {column!r} hold{'s' if number == 1 else ''} something else than {kind}",
        where=f"{path}, line {row + 2}, column {column}",
        rule="FILE-002: a required column has its declared type",
        remedy="write true or false" if kind == "true or false" else "write plain numbers",
    )


def _with_area_factors(frames: dict[str, pl.DataFrame], files: dict[str, Path]) -> pl.DataFrame:
    """Return base rates with the area factors that stand in a table of their own.

    Factors hold for the plans, issuers and areas that both tables name; for all plans where they share no column.
    """
    import polars as pl

    base, factors = frames["base_rates"], frames.pop("area_factors", None)
    if factors is None:
        return base
    where = f"{files['base_rates']}; {files['area_factors']}"
    if "issuer_id" in factors.columns and "issuer_id" not in base.columns and "plan_id" in base.columns:
        base = base.with_columns(pl.col("plan_id").str.slice(0, 5).alias("issuer_id"))
    if "area_factor" in base.columns or not {"rating_area_id", "area_factor"} <= set(factors.columns):
        raise InputRefused(
            "area factors stand in both tables, or in none",
            where=where,
            rule="area_factors has rating_area_id and area_factor; base_rates then has no area_factor",
            remedy="keep one column area_factor",
        )
    keys = [c for c in ("plan_id", "issuer_id", "rating_area_id") if c in base.columns and c in factors.columns]
    factors = factors.select(*keys, *(c for c in ("rating_area_id", "area_factor") if c not in keys))
    if not keys:
        return base.join(factors, how="cross")
    joined = base.join(factors, on=keys, how="left", maintain_order="left")
    missing = joined["area_factor"].null_count()
    if missing:
        raise InputRefused(
            f"{missing:,} base rate{'s have' if missing > 1 else ' has'} no area factor",
            where=where,
            rule="a plan is sold where it has an area factor; absent is not 1",
            remedy="add the factors, or take the plans away",
        )
    return joined


def areas_sold(inputs: RateInputs) -> list[str]:
    """Return the rating areas of the rates, sorted."""
    frame = _of_rates(inputs)
    return sorted(str(area) for area in frame["rating_area_id"].unique().to_list())


def most_plans(inputs: RateInputs) -> int:
    """Return how many plans the rating area with most of them has."""
    import polars as pl

    by_area = _of_rates(inputs).group_by("rating_area_id").agg(pl.col("plan_id").n_unique())
    return int(max(by_area["plan_id"].to_list(), default=1))


def _of_rates(inputs: RateInputs) -> pl.DataFrame:
    frame = inputs.frames["base_rates" if "base_rates" in inputs.frames else "rates"]
    need_columns(frame, "rates", ("plan_id", "rating_area_id"))
    return frame


# ------------------------------------------------------------------------------------------------ households


def count_rows(path: Path) -> int:
    """Return how many rows a file of households has.

    Raises
    ------
    InputRefused
        The file cannot be read as a table.
    """
    import polars as pl

    scan = _scan(path)
    with reading(path):
        return int(scan.select(pl.len()).collect(engine="streaming").item())


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Refuse a file that turns out to be no table while it is read.

    Raises
    ------
    InputRefused
        With the line where that shows.
    """
    import polars as pl

    try:
        yield
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        if isinstance(error, PoolwiseError):
            raise
        raise unreadable(path, type(error).__name__) from None


def scan_households(path: Path, plan_year: int) -> tuple[pl.LazyFrame, bool]:
    """Return the households of a file, typed, without reading them, and whether they differ from what the file holds.

    Cells of text that hold no size become NaN, so that they are counted with their rule, not taken for blanks. Where
    there is no birth_date an `age` makes one: 1 January, so many years before the plan year.

    Raises
    ------
    InputRefused
        The file is missing or is no table; a column stands twice; a flag is neither true nor false.
    """
    import polars as pl

    scan = _scan(path)
    schema = scan.collect_schema()
    texts = [c for c, d in schema.items() if d == pl.String]
    changed = path.suffix != ".parquet"
    if changed:
        # A CSV file is text throughout; Parquet has types, and is handed on as it stands.
        scan = scan.with_columns(pl.col(c).str.strip_chars().replace("", None) for c in texts)
        _refuse_no_truths(path, scan)
        scan = scan.with_columns(_truths(scan, _FLAGS_OF_HOUSEHOLDS))
        if _SIZE in texts:
            number = pl.col(_SIZE).cast(pl.Float64, strict=False)
            broken = pl.col(_SIZE).is_not_null() & number.is_null()
            scan = scan.with_columns(pl.when(broken).then(float("nan")).otherwise(number).alias(_SIZE))
    if _AGE in schema and _BIRTH not in schema:
        age = pl.col(_AGE).cast(pl.Float64, strict=False)
        whole = pl.when((age == age.floor()) & age.is_between(0, 999)).then(age.cast(pl.Int32, strict=False))
        scan = scan.with_columns(pl.date(pl.lit(plan_year) - whole, 1, 1).alias(_BIRTH)).drop(_AGE)
        changed = True
    return scan, changed


def _scan(path: Path) -> pl.LazyFrame:
    import polars as pl

    if not path.is_file():
        raise InputRefused(
            "the file of households does not exist", where=str(path), remedy="name a CSV or Parquet file"
        )
    if path.suffix.lower() not in _SUFFIXES:
        raise InputRefused("the file is neither CSV nor Parquet", where=str(path), remedy="name a .csv or .parquet")
    is_parquet = path.suffix.lower() == ".parquet"
    scan = pl.scan_parquet(path) if is_parquet else pl.scan_csv(path, infer_schema=False)
    with reading(path):
        names = scan.collect_schema().names()
    plain = {c: c.strip().lstrip("\ufeff").lower() for c in names}
    ours = [name.split("_duplicated_")[0] for name in plain.values()]
    twice = next((name for name in ours if ours.count(name) > 1), None)
    if twice is not None:
        raise InputRefused(
            f"column {twice!r} stands twice", where=str(path), rule="FILE-002", remedy="keep one of the two"
        )
    return scan if is_parquet else scan.rename(plain)


def _refuse_no_truths(path: Path, scan: pl.LazyFrame) -> None:
    """Refuse a CSV file with a flag that is neither true nor false, with the line of the first one."""
    import polars as pl

    columns = [c for c in _FLAGS_OF_HOUSEHOLDS if c in scan.collect_schema()]
    if not columns:
        return
    bad = {c: pl.col(c).is_not_null() & ~pl.col(c).str.to_lowercase().is_in(list(_TRUTH)) for c in columns}
    numbers = [is_bad.sum().alias(f"{c} number") for c, is_bad in bad.items()]
    firsts = [is_bad.arg_max().alias(f"{c} row") for c, is_bad in bad.items()]
    with reading(path):
        found = scan.select(*numbers, *firsts).collect(engine="streaming").row(0, named=True)
    for column in columns:
        if found[f"{column} number"]:
            number, row = found[f"{column} number"], found[f"{column} row"]
            raise _not_of_its_kind(path, column, "true or false", number, row)
