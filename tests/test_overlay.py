"""A folder of the reader's own tables: it supersedes years, is named as the user's, and goes away again."""

import datetime
import hashlib
import os
from pathlib import Path

import polars as pl
import pytest

import data_specs
import riskadjust
from data_specs import _registry
from data_specs.errors import InputRefused, TableMissing, TableRefused

TABLE = "hhs_hcc/csr_factors"
NAME = "csr_factors"
NEW_TABLE = """
family = "{family}"

[[table]]
name = "area_names"
title = "Names of areas"
source = "made up for a test"
key = ["area"]
column = [
  {{ name = "area", type = "text" }},
  {{ name = "opened", type = "date", nullable = true }},
  {{ name = "people", type = "int", nullable = true, min = 0 }},
]
"""


def factors(year: int, factor: float, source_year: int = 2024) -> pl.DataFrame:
    """The rows of an installed year under another year, all with one factor."""
    frame = data_specs.table(TABLE, year=source_year)
    return frame.with_columns(pl.lit(year).alias("benefit_year"), pl.lit(factor).alias("factor"))


def write(frame: pl.DataFrame, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)
    return path


def overlay_of(folder: Path, year: int, factor: float) -> Path:
    write(factors(year, factor), folder / "hhs_hcc" / f"{NAME}.csv")
    return folder


def factors_in_use(year: int) -> list[float]:
    return sorted(set(data_specs.table(TABLE, year=year)["factor"].to_list()))


# ---- what is superseded ----


def test_one_year_is_superseded_and_the_others_are_left_alone(tmp_path):
    before = data_specs.table(TABLE)
    own = factors(2024, 1.3).head(3)
    write(own, tmp_path / "hhs_hcc" / f"{NAME}.csv")
    with data_specs.use(tmp_path):
        during = data_specs.table(TABLE)
        assert during.filter(benefit_year=2024).equals(own)  # all rows of the year are the reader's
        assert during.filter(pl.col("benefit_year") != 2024).equals(before.filter(pl.col("benefit_year") != 2024))
        assert data_specs.table("hhs_hcc/hcc_label").equals(data_specs.table("hhs_hcc/hcc_label", revision="r1"))
    assert data_specs.table(TABLE).equals(before)


def test_a_year_that_is_not_held_is_added(tmp_path):
    held = data_specs.table(TABLE).height
    with pytest.raises(TableMissing, match="2031"):
        data_specs.table(TABLE, year=2031)
    with data_specs.use(overlay_of(tmp_path, 2031, 1.3)):
        assert factors_in_use(2031) == [1.3]
        assert data_specs.table(TABLE).height == held + data_specs.table(TABLE, year=2031).height


def test_a_table_without_years_is_superseded_as_a_whole(tmp_path):
    name = "claim_eligibility_rules"
    own = data_specs.table(f"hhs_hcc/{name}").head(2)
    write(own, tmp_path / "hhs_hcc" / f"{name}.csv")
    with data_specs.use(tmp_path):
        assert data_specs.table(f"hhs_hcc/{name}").equals(own)


def test_an_earlier_revision_ignores_overlays(tmp_path):
    before = data_specs.table(TABLE, revision="r1")
    with data_specs.use(overlay_of(tmp_path, 2024, 1.3)):
        assert data_specs.table(TABLE, revision="r1").equals(before)


def test_a_score_follows_the_overlay_and_comes_back(tmp_path):
    def silver_94() -> float:
        day = datetime.date
        enrollees = pl.DataFrame({"enrollee_id": ["A"], "birth_date": [day(1980, 3, 10)], "sex": ["M"]})
        spans = pl.DataFrame(
            {"enrollee_id": ["A"], "plan_id": ["12345XX0010001"], "csr_variant": ["06"], "metal_level": ["silver"]}
            | {"span_start": [day(2024, 1, 1)], "span_end": [day(2024, 12, 31)]}
        )
        nothing = pl.DataFrame(schema=["enrollee_id", "diagnosis_code", "service_date"])
        return riskadjust.score(enrollees, spans, nothing, benefit_year=2024).scores["csr_factor"].item()

    assert silver_94() == 1.12
    with data_specs.use(overlay_of(tmp_path, 2024, 1.3)):
        assert silver_94() == 1.3
    assert silver_94() == 1.12


# ---- who supplied it ----


def test_the_catalog_names_the_user_and_the_digest(tmp_path):
    path = overlay_of(tmp_path, 2031, 1.3) / "hhs_hcc" / f"{NAME}.csv"
    before = data_specs.catalog()
    assert before["supplied_by"].unique().to_list() == ["poolwise"]
    with data_specs.use(tmp_path):
        lines = data_specs.catalog()
        assert lines.height == before.height + 1
        own = lines.filter(supplied_by="user").row(0, named=True)
        assert (own["name"], own["years"], own["rows"]) == (TABLE, "2031", factors(2031, 1.3).height)
        assert own["digest"] == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
        assert lines.filter(supplied_by="poolwise").equals(before)
    assert data_specs.catalog().equals(before)


# ---- in use, and out of use ----


def test_leaving_the_block_ends_the_use_also_after_an_error(tmp_path):
    folder = overlay_of(tmp_path, 2031, 1.3)
    with data_specs.use(folder):
        assert factors_in_use(2031) == [1.3]
    with pytest.raises(ZeroDivisionError), data_specs.use(folder):
        _ = 1 / 0
    with pytest.raises(TableMissing):
        factors_in_use(2031)


def test_without_a_block_the_folder_is_used_until_it_is_closed(tmp_path):
    overlay = data_specs.use(str(overlay_of(tmp_path, 2031, 1.3)))
    try:
        assert factors_in_use(2031) == [1.3]
    finally:
        overlay.close()
    overlay.close()  # a second time does nothing
    with pytest.raises(TableMissing):
        factors_in_use(2031)


def test_the_folder_used_last_wins(tmp_path):
    first, second = overlay_of(tmp_path / "a", 2031, 1.1), overlay_of(tmp_path / "b", 2031, 1.2)
    with data_specs.use(first):
        assert factors_in_use(2031) == [1.1]
        with data_specs.use(second):
            assert factors_in_use(2031) == [1.2]
        assert factors_in_use(2031) == [1.1]
    with data_specs.use(second), data_specs.use(first):
        assert factors_in_use(2031) == [1.1]


def test_folders_of_different_years_and_tables_add_up(tmp_path):
    first, second = overlay_of(tmp_path / "a", 2031, 1.1), overlay_of(tmp_path / "b", 2032, 1.2)
    labels = data_specs.table("hhs_hcc/hcc_label", year=2025).with_columns(pl.lit(2031).alias("benefit_year"))
    write(labels, second / "hhs_hcc" / "hcc_label.csv")
    with data_specs.use(first), data_specs.use(second):
        assert (factors_in_use(2031), factors_in_use(2032)) == ([1.1], [1.2])
        assert data_specs.table("hhs_hcc/hcc_label", year=2031).height == labels.height
        users = data_specs.catalog().filter(supplied_by="user")
        assert users["name"].to_list() == [TABLE, TABLE, "hhs_hcc/hcc_label"]


@pytest.mark.slow
def test_the_environment_variable_is_the_weakest(tmp_path, monkeypatch):
    first, second = overlay_of(tmp_path / "a", 2031, 1.1), overlay_of(tmp_path / "b", 2031, 1.2)
    monkeypatch.setenv("POOLWISE_TABLES", str(first))
    assert factors_in_use(2031) == [1.1]
    assert data_specs.catalog().filter(supplied_by="user").height == 1
    with data_specs.use(second):
        assert factors_in_use(2031) == [1.2]
    monkeypatch.setenv("POOLWISE_TABLES", os.pathsep.join([str(first), str(second)]))
    assert factors_in_use(2031) == [1.2]  # the last one named wins
    monkeypatch.setenv("POOLWISE_TABLES", "")
    with pytest.raises(TableMissing):
        factors_in_use(2031)


def test_an_environment_variable_that_names_no_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("POOLWISE_TABLES", str(tmp_path / "nowhere"))
    with pytest.raises(TableMissing, match="does not exist"):
        data_specs.table(TABLE)


# ---- layouts ----


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("home", ["hhs_hcc", "tables/hhs_hcc", "."])
def test_layouts(tmp_path, home, suffix):
    write(factors(2031, 1.3), tmp_path / home / f"{NAME}{suffix}")
    with data_specs.use(tmp_path):
        assert data_specs.table(TABLE, year=2031).equals(factors(2031, 1.3))


def test_files_that_are_no_tables_are_left_alone(tmp_path):
    overlay_of(tmp_path, 2031, 1.3)
    (tmp_path / "hhs_hcc" / "README.md").write_text("where these rows come from", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("2031", encoding="utf-8")
    with data_specs.use(tmp_path):
        assert factors_in_use(2031) == [1.3]


# ---- what is refused ----


@pytest.mark.parametrize("home", ["hhs_hcc", "tables/hhs_hcc", "."])
def test_a_table_the_catalog_does_not_know_is_refused(tmp_path, home):
    write(pl.DataFrame({"area": ["a"]}), tmp_path / home / "area_names.csv")
    with pytest.raises(TableRefused, match=r"area_names\.csv.*every table has a catalog entry"):
        data_specs.use(tmp_path)


def test_a_table_described_beside_it_is_known_while_in_use(tmp_path):
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "areas.toml").write_text(NEW_TABLE.format(family="areas"), encoding="utf-8")
    own = pl.DataFrame({"area": ["north", "south"], "opened": ["2030-01-31", None], "people": [7, None]})
    write(own, tmp_path / "areas" / "area_names.csv")
    with data_specs.use(tmp_path):
        frame = data_specs.table("areas/area_names")
        assert frame.rows() == [("north", datetime.date(2030, 1, 31), 7), ("south", None, None)]
        assert data_specs.catalog().filter(name="areas/area_names")["supplied_by"].to_list() == ["user"]
    with pytest.raises(TableMissing, match="areas/area_names"):
        data_specs.table("areas/area_names")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("not valid TOML", "family = "),
        ("cannot be read", '[[table]]\nname = "area_names"\n'),
        ("cannot be read", NEW_TABLE.format(family="areas").replace('"date"', '"moment"')),
        ("does not describe", NEW_TABLE.format(family="areas").replace('key = ["area"]', 'key = ["place"]')),
    ],
)
def test_a_bad_description_is_refused(tmp_path, words, text):
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "areas.toml").write_text(text, encoding="utf-8")
    write(pl.DataFrame({"area": ["a"]}), tmp_path / "areas" / "area_names.csv")
    with pytest.raises(TableRefused, match=words) as caught:
        data_specs.use(tmp_path)
    assert "areas.toml" in str(caught.value)


@pytest.mark.parametrize("make", [lambda folder: folder / "nowhere", lambda folder: folder])
def test_a_folder_without_tables_is_refused(tmp_path, make):
    with pytest.raises(TableMissing, match="overlay folder"):
        data_specs.use(make(tmp_path))


def test_a_refused_folder_is_not_used(tmp_path):
    overlay_of(tmp_path, 2031, 1.3)
    write(factors(2031, 99.0), tmp_path / "hhs_hcc" / f"{NAME}.csv")
    with pytest.raises(TableRefused, match=r"csr_factors\.csv.*row 2, column factor: at most 3"):
        data_specs.use(tmp_path)
    with pytest.raises(TableMissing):
        factors_in_use(2031)


def test_a_parquet_table_is_checked_in_the_same_way(tmp_path):
    write(factors(2031, 99.0), tmp_path / "hhs_hcc" / f"{NAME}.parquet")
    with pytest.raises(TableRefused, match=r"row 1, column factor: at most 3"):
        data_specs.use(tmp_path)


def test_an_unknown_name_is_answered_with_a_close_one():
    with pytest.raises(TableMissing, match="hhs_hcc/coefficients"):
        data_specs.table("hhs_hcc/coefficient")
    with pytest.raises(TableMissing, match="catalog"):
        data_specs.table("nothing like it")
    with pytest.raises(TableMissing, match="no state column"):
        data_specs.table(TABLE, state="NY")
    with pytest.raises(TableMissing, match=r"revision 'r9'.*held: r1"):
        data_specs.table(TABLE, revision="r9")


# ---- edited while in use ----


def test_an_edited_file_is_noticed(tmp_path):
    path = overlay_of(tmp_path, 2031, 1.3) / "hhs_hcc" / f"{NAME}.csv"
    with data_specs.use(tmp_path):
        digest = data_specs.catalog().filter(supplied_by="user")["digest"].item()
        assert factors_in_use(2031) == [1.3]
        write(factors(2031, 1.4), path)
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))
        assert factors_in_use(2031) == [1.4]
        assert data_specs.catalog().filter(supplied_by="user")["digest"].item() != digest
        write(factors(2031, 99.0), path)
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 2 * 10**9))
        with pytest.raises(TableRefused, match="at most 3"):
            factors_in_use(2031)


def test_a_file_added_while_in_use_is_noticed(tmp_path):
    with data_specs.use(overlay_of(tmp_path, 2031, 1.3)):
        labels = data_specs.table("hhs_hcc/hcc_label", year=2025).with_columns(pl.lit(2031).alias("benefit_year"))
        write(labels, tmp_path / "hhs_hcc" / "hcc_label.csv")
        assert data_specs.table("hhs_hcc/hcc_label", year=2031).height == labels.height


# ---- the checked way in: add_tables ----


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def add(source: Path, store: Path, year: int, factor: float) -> list[tuple[str, str, str]]:
    write(factors(year, factor), source / f"{NAME}.csv")
    return [(a.name, a.action, a.revision) for a in data_specs.add_tables(source, family="hhs_hcc", to=store)]


@pytest.fixture
def installed_store(tmp_path, monkeypatch):
    """A folder that stands in for the installed tables, so that revisions of it can be asked for."""
    store = tmp_path / "store"
    write(data_specs.table(TABLE), tmp_path / "first" / f"{NAME}.csv")
    data_specs.add_tables(tmp_path / "first", family="hhs_hcc", to=store)
    _registry.forget_files()
    monkeypatch.setattr(_registry, "INSTALLED", store)
    yield store
    monkeypatch.undo()
    _registry.forget_files()


def test_revisions_are_kept_and_come_back(tmp_path, installed_store):
    source = tmp_path / "source"
    first = data_specs.table(TABLE)
    assert add(source, installed_store, 2024, 1.3) == [(TABLE, "revised", "r2")]
    second = data_specs.table(TABLE)
    assert second.equals(factors(2024, 1.3))
    assert add(source, installed_store, 2024, 1.3) == [(TABLE, "unchanged", "r2")]
    assert add(source, installed_store, 2024, 1.4) == [(TABLE, "revised", "r3")]
    assert data_specs.table(TABLE, revision="r1").equals(first)
    assert data_specs.table(TABLE, revision="r2").equals(second)
    assert data_specs.table(TABLE, revision="r3").equals(data_specs.table(TABLE))
    line = data_specs.catalog().filter(name=TABLE).row(0, named=True)
    assert (line["revision"], line["years"], line["rows"]) == ("r3", "2024", second.height)
    with pytest.raises(TableMissing, match="held: r1, r2, r3"):
        data_specs.table(TABLE, revision="r4")


def test_an_installed_table_that_was_edited_is_refused(installed_store):
    path = installed_store / "tables" / "hhs_hcc" / f"{NAME}.csv"
    path.write_bytes(path.read_bytes().replace(b"1.12", b"1.13"))
    with pytest.raises(TableRefused, match=r"csr_factors\.csv.*changed only by adding a revision"):
        data_specs.table(TABLE)


@pytest.mark.slow
def test_a_store_of_ones_own_can_be_used(tmp_path):
    source, store = tmp_path / "source", tmp_path / "store"
    assert add(source, store, 2031, 1.3) == [(TABLE, "added", "r1")]
    assert sorted(files_of(store)) == ["catalog/hhs_hcc.toml", f"tables/hhs_hcc/{NAME}.csv"]
    with data_specs.use(store):
        assert factors_in_use(2031) == [1.3]
    assert add(source, store, 2031, 1.3) == [(TABLE, "unchanged", "r1")]
    assert add(source, store, 2031, 1.4) == [(TABLE, "revised", "r2")]
    with data_specs.use(store):
        assert factors_in_use(2031) == [1.4]
    kept = store / "tables" / "hhs_hcc" / f"{NAME}.csv"
    assert pl.read_csv(kept)["factor"].unique().to_list() == [1.3]


def test_what_was_added_is_reported(tmp_path):
    write(factors(2031, 1.3), tmp_path / "source" / f"{NAME}.csv")
    (added,) = data_specs.add_tables(tmp_path / "source", family="hhs_hcc", to=tmp_path / "store")
    path = tmp_path / "store" / "tables" / "hhs_hcc" / f"{NAME}.csv"
    assert added.digest == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert (added.rows, added.years) == (factors(2031, 1.3).height, "2031")


@pytest.mark.parametrize("is_first_time", [True, False])
def test_nothing_is_written_when_one_table_is_bad(tmp_path, is_first_time):
    source, store = tmp_path / "source", tmp_path / "store"
    if not is_first_time:
        add(source, store, 2031, 1.3)
    before = files_of(store)
    write(factors(2031, 1.4), source / f"{NAME}.csv")
    labels = data_specs.table("hhs_hcc/hcc_label", year=2025)
    write(labels.with_columns(pl.lit("HCC1").alias("hcc")), source / "hcc_label.csv")
    with pytest.raises(TableRefused, match=r"hcc_label\.csv.*row 2, column hcc"):
        data_specs.add_tables(source, family="hhs_hcc", to=store)
    assert files_of(store) == before


def test_a_cell_that_points_to_nothing_is_refused(tmp_path):
    labels = data_specs.table("hhs_hcc/hcc_label", year=2025)
    pairs = data_specs.table("hhs_hcc/hcc_hierarchy", year=2025)
    write(labels.filter(pl.col("hcc") != "HCC021"), tmp_path / "source" / "hcc_label.csv")
    write(pairs, tmp_path / "source" / "hcc_hierarchy.csv")
    row = pairs.with_row_index().filter(pl.col("drops_hcc") == "HCC021")["index"].min() + 2
    with pytest.raises(TableRefused, match=rf"hcc_hierarchy\.csv, row {row}, column drops_hcc.*hcc_label\.hcc"):
        data_specs.add_tables(tmp_path / "source", family="hhs_hcc", to=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_new_table_needs_a_description(tmp_path):
    source, store = tmp_path / "source", tmp_path / "store"
    write(pl.DataFrame({"area": ["north"], "opened": [None], "people": [7]}), source / "area_names.csv")
    with pytest.raises(TableRefused, match="area_names"):
        data_specs.add_tables(source, family="areas", to=store)
    (source / "areas.toml").write_text(NEW_TABLE.format(family="areas"), encoding="utf-8")
    (added,) = data_specs.add_tables(source, family="areas", to=store)
    assert (added.name, added.action) == ("areas/area_names", "added")
    with data_specs.use(store):
        assert data_specs.table("areas/area_names").rows() == [("north", None, 7)]


@pytest.mark.parametrize("make", [lambda folder: folder / "nowhere", lambda folder: folder])
def test_a_folder_with_nothing_to_add_is_refused(tmp_path, make):
    with pytest.raises(InputRefused, match="no table to add"):
        data_specs.add_tables(make(tmp_path), family="hhs_hcc", to=tmp_path / "store")


@pytest.mark.slow
def test_a_whole_year_goes_through_the_checked_way_in(tmp_path):
    source = tmp_path / "source"
    names = ["hcc_label", "hcc_hierarchy", "rxc_hierarchy", "demographic_bands"]
    for name in names:
        rows = data_specs.table(f"hhs_hcc/{name}", year=2025).with_columns(pl.lit(2031).alias("benefit_year"))
        write(rows, source / f"{name}.csv")
    done = data_specs.add_tables(source, family="hhs_hcc", to=tmp_path / "store")
    assert sorted(a.name for a in done) == sorted(f"hhs_hcc/{n}" for n in names)
    with data_specs.use(tmp_path / "store"):
        for name in names:
            own, installed = (data_specs.table(f"hhs_hcc/{name}", year=y) for y in (2031, 2025))
            assert own.drop("benefit_year").equals(installed.drop("benefit_year"))
