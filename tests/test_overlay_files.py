"""What the files of an overlay are: one file for one table, none passed over, each use counted, edits noticed."""

from pathlib import Path

import polars as pl
import pytest

import data_specs
from data_specs import _overlay_files, _registry
from data_specs.errors import InputRefused, SettingRefused, TableMissing, TableRefused

TABLE = "hhs_hcc/csr_factors"
NAME = "csr_factors"
READINGS = """
family = "areas"

[[table]]
name = "readings"
title = "Readings of areas"
source = "made up for a test"
key = ["area", "day", "level", "number"]
state_column = "area"
column = [
  { name = "area", type = "text" },
  { name = "day", type = "date" },
  { name = "level", type = "number" },
  { name = "number", type = "int", max = 100 },
]
"""
READING = {"area": "NY", "day": "2030-01-31", "level": "1.5", "number": "7"}


def factors(year: int, factor: float) -> pl.DataFrame:
    frame = data_specs.table(TABLE, year=2024)
    return frame.with_columns(pl.lit(year).alias("benefit_year"), pl.lit(factor).alias("factor"))


def write(path: Path, frame: pl.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path)
    return path


def overlay_of(folder: Path, factor: float, year: int = 2031) -> Path:
    write(folder / "hhs_hcc" / f"{NAME}.csv", factors(year, factor))
    return folder


def factor_in_use(year: int = 2031) -> float:
    (factor,) = set(data_specs.table(TABLE, year=year)["factor"].to_list())
    return factor


def areas(folder: Path, rows: list[dict[str, str]], catalog: str = READINGS) -> Path:
    (folder / "catalog").mkdir(parents=True, exist_ok=True)
    (folder / "catalog" / "areas.toml").write_text(catalog, encoding="utf-8")
    write(folder / "areas" / "readings.csv", pl.DataFrame(rows))
    return folder


# ---- one value, one key ----


@pytest.mark.parametrize(
    "change",
    [{}, {"level": "1.50"}, {"level": "+1.5"}, {"level": "15e-1"}, {"day": "2030-1-31"}],
    ids=["the same", "a zero more", "a sign", "an exponent", "a short month"],
)
def test_a_key_is_compared_by_its_values(tmp_path, change):
    with pytest.raises(TableRefused, match=r"row 3, column number: the key \(area, day, level, number\) occurs once"):
        data_specs.use(areas(tmp_path, [READING, READING | change]))


@pytest.mark.parametrize("spelled", ["07", "+7", "-07", "-0", "00"])
def test_an_integer_has_one_spelling(tmp_path, spelled):
    with pytest.raises(TableRefused, match=r"row 3, column number: the type is int \(no plus sign, no leading zeros\)"):
        data_specs.use(areas(tmp_path, [READING, READING | {"number": spelled}]))


@pytest.mark.parametrize("spelled", ["0", "-7", "10", "-100"])
def test_plain_integers_are_read(tmp_path, spelled):
    with data_specs.use(areas(tmp_path, [READING, READING | {"number": spelled}])):
        assert data_specs.table("areas/readings")["number"].to_list() == [7, int(spelled)]


# ---- what a cell cannot be ----


@pytest.mark.parametrize("mark", ["\0", "\x1b", "\x7f"])
def test_control_characters_are_refused(tmp_path, mark):
    with pytest.raises(TableRefused, match=r"row 2, column area: no control characters"):
        data_specs.use(areas(tmp_path, [READING | {"area": f"N{mark}Y"}]))


@pytest.mark.parametrize(
    "cell",
    [{"name": "NY"}, ["NY"], b"NY", pl.Series([0]).cast(pl.Duration)[0], pl.Series([0]).cast(pl.Datetime)[0]],
    ids=["struct", "list", "binary", "duration", "datetime"],
)
def test_columns_that_hold_no_plain_values_are_refused(tmp_path, cell):
    areas(tmp_path, [READING])
    (tmp_path / "areas" / "readings.csv").unlink()
    write(tmp_path / "areas" / "readings.parquet", pl.DataFrame([READING]).with_columns(area=pl.Series([cell])))
    with pytest.raises(TableRefused, match=r"column 'area' is .*readings\.parquet, column area.*a cell holds one"):
        data_specs.use(tmp_path)


def test_a_typed_parquet_table_is_read(tmp_path):
    areas(tmp_path, [READING])
    with data_specs.use(tmp_path):
        typed = data_specs.table("areas/readings")
    (tmp_path / "areas" / "readings.csv").unlink()
    write(tmp_path / "areas" / "readings.parquet", typed.with_columns(pl.col("area").cast(pl.Categorical)))
    with data_specs.use(tmp_path):
        assert data_specs.table("areas/readings").equals(typed)


# ---- one file for one table ----


@pytest.mark.parametrize(
    "others",
    [
        ["hhs_hcc/csr_factors.parquet"],
        ["tables/hhs_hcc/csr_factors.csv"],
        ["csr_factors.csv"],
        ["hhs_hcc/csr_factors.CSV"],
        ["hhs_hcc/csr_factors.r1.csv"],
        ["hhs_hcc/csr_factors.r2.csv", "hhs_hcc/csr_factors.r2.parquet"],
        ["tables/hhs_hcc/csr_factors.r2.csv"],
    ],
    ids=" ".join,
)
def test_two_files_for_one_table_are_refused(tmp_path, others):
    overlay_of(tmp_path, 1.3)
    for other in others:
        write(tmp_path / other, factors(2031, 1.3))
    with pytest.raises(TableRefused, match=r"two files hold the table hhs_hcc/csr_factors") as caught:
        data_specs.use(tmp_path)
    assert Path(others[-1]).name in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_last_revision_beside_a_table_counts(tmp_path, suffix):
    overlay_of(tmp_path, 1.1)
    write(tmp_path / "hhs_hcc" / f"{NAME}.r2{suffix}", factors(2031, 1.2))
    write(tmp_path / "hhs_hcc" / f"{NAME}.r10{suffix}", factors(2031, 1.3))
    with data_specs.use(tmp_path):
        assert factor_in_use() == 1.3


def test_a_second_file_that_comes_while_in_use_is_refused(tmp_path):
    with data_specs.use(overlay_of(tmp_path, 1.3)):
        assert factor_in_use() == 1.3
        write(tmp_path / "hhs_hcc" / f"{NAME}.parquet", factors(2031, 1.4))
        with pytest.raises(TableRefused, match="two files"):
            factor_in_use()


def test_two_files_for_one_table_are_not_added(tmp_path):
    for suffix in (".csv", ".parquet"):
        write(tmp_path / "new" / f"{NAME}{suffix}", factors(2031, 1.3))
    with pytest.raises(TableRefused, match="two files hold the table csr_factors"):
        data_specs.add_tables(tmp_path / "new", family="hhs_hcc", to=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_name_between_table_and_suffix_is_a_revision_or_refused(tmp_path):
    overlay_of(tmp_path, 1.3)
    write(tmp_path / "hhs_hcc" / f"{NAME}.old.csv", factors(2031, 1.4))
    with pytest.raises(TableRefused, match=r"'old' in the name of a table is no revision.*csr_factors\.old\.csv"):
        data_specs.use(tmp_path)


# ---- no table is passed over ----


@pytest.mark.parametrize("place", ["hhs_hc", "HHS_HCC", "catalog", "hhs_hcc/old", "tables/hhs_hcc/old", "tables/x"])
def test_a_table_outside_a_family_folder_is_refused(tmp_path, place):
    overlay_of(tmp_path, 1.3)
    write(tmp_path / place / "hcc_label.csv", data_specs.table("hhs_hcc/hcc_label"))
    with pytest.raises(TableRefused, match=r"no family of the catalog.*hcc_label\.csv.*families: av, filing, hhs_hcc"):
        data_specs.use(tmp_path)


@pytest.mark.parametrize("suffix", [".CSV", ".Csv", ".PARQUET"])
def test_suffixes_in_capitals_are_read(tmp_path, suffix):
    path = write(tmp_path / "hhs_hcc" / f"{NAME}{suffix}", factors(2031, 1.3))
    with data_specs.use(tmp_path):
        assert factor_in_use() == 1.3
    write(path, factors(2031, 99.0))
    first = 1 if suffix == ".PARQUET" else 2
    with pytest.raises(TableRefused, match=rf"row {first}, column factor: at most 3"):
        data_specs.use(tmp_path)
    write(path, factors(2031, 1.3))
    (added,) = data_specs.add_tables(tmp_path / "hhs_hcc", family="hhs_hcc", to=tmp_path / "store")
    assert (added.name, added.years) == (TABLE, "2031")


@pytest.mark.parametrize("name", ["hcc_label.xlsx", "hcc_label.csv.gz", "hcc_label.tsv"])
def test_a_table_in_another_form_is_refused(tmp_path, name):
    overlay_of(tmp_path, 1.3)
    (tmp_path / "hhs_hcc" / name).write_bytes(b"anything")
    with pytest.raises(TableRefused, match=rf"a form that is not read.*{name}"):
        data_specs.use(tmp_path)


def test_a_misspelt_table_is_refused_also_when_the_environment_names_the_folder(tmp_path, monkeypatch):
    overlay_of(tmp_path, 1.3)
    write(tmp_path / "hhs_hcc" / "hcc_labels.csv", data_specs.table("hhs_hcc/hcc_label"))
    monkeypatch.setenv("POOLWISE_TABLES", str(tmp_path))
    with pytest.raises(TableRefused, match=r"hcc_labels\.csv.*every table has a catalog entry"):
        factor_in_use()


def test_hidden_files_and_other_files_are_left_alone(tmp_path):
    overlay_of(tmp_path, 1.3)
    for name in (f".{NAME}.csv", f"hhs_hcc/.{NAME}.csv", ".old/hhs_hc/x.csv", "prices/list.xlsx", "hhs_hcc/notes.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    with data_specs.use(tmp_path):
        assert factor_in_use() == 1.3


def test_linked_family_folders_are_read_and_circles_end(tmp_path):
    overlay_of(tmp_path / "home", 1.3)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "hhs_hcc").symlink_to(tmp_path / "home" / "hhs_hcc", target_is_directory=True)
    (tmp_path / "home" / "hhs_hcc" / "back").symlink_to(tmp_path / "other", target_is_directory=True)
    with data_specs.use(tmp_path / "other"):
        assert factor_in_use() == 1.3


def test_a_link_to_nothing_is_refused(tmp_path):
    overlay_of(tmp_path, 1.3)
    (tmp_path / "hhs_hcc" / "hcc_label.csv").symlink_to(tmp_path / "gone.csv")
    with pytest.raises(TableRefused, match=r"cannot be read.*hcc_label\.csv"):
        data_specs.use(tmp_path)


# ---- each use is counted ----


def test_leaving_an_inner_use_keeps_the_outer_one(tmp_path):
    folder = overlay_of(tmp_path, 1.3)
    with data_specs.use(folder):
        with data_specs.use(folder) as inner:
            assert data_specs.catalog().filter(supplied_by="user").height == 1
            inner.close()
            assert factor_in_use() == 1.3
        assert factor_in_use() == 1.3
    with pytest.raises(TableMissing):
        factor_in_use()


def test_an_inner_use_is_the_strongest_while_it_lasts(tmp_path):
    first, second = overlay_of(tmp_path / "a", 1.1), overlay_of(tmp_path / "b", 1.2)
    with data_specs.use(first), data_specs.use(second):
        assert factor_in_use() == 1.2
        with data_specs.use(first):
            assert factor_in_use() == 1.1
        assert factor_in_use() == 1.2


# ---- edits are noticed, and nothing is read twice ----


def test_an_edited_catalog_is_noticed(tmp_path):
    with data_specs.use(areas(tmp_path, [READING])):
        assert data_specs.table("areas/readings").height == 1
        areas(tmp_path, [READING], READINGS.replace("max = 100", "max = 5"))
        with pytest.raises(TableRefused, match=r"row 2, column number: at most 5"):
            data_specs.table("areas/readings")
        areas(tmp_path, [READING], READINGS.replace("Readings of", "Levels of"))
        assert data_specs.catalog().filter(name="areas/readings")["title"].to_list() == ["Levels of areas"]


def test_a_file_that_goes_is_noticed(tmp_path):
    overlay_of(tmp_path, 1.3)
    labels = data_specs.table("hhs_hcc/hcc_label", year=2025).with_columns(pl.lit(2031).alias("benefit_year"))
    path = write(tmp_path / "hhs_hcc" / "hcc_label.csv", labels)
    with data_specs.use(tmp_path):
        assert data_specs.table("hhs_hcc/hcc_label", year=2031).height == labels.height
        path.unlink()
        with pytest.raises(TableMissing):
            data_specs.table("hhs_hcc/hcc_label", year=2031)


def test_an_unchanged_folder_is_understood_once(tmp_path, monkeypatch):
    with data_specs.use(overlay_of(tmp_path, 1.3)):
        factor_in_use()
        monkeypatch.setattr(_registry, "tables_among", None)  # a second call would fail
        monkeypatch.setattr(_registry, "read_text", None)
        assert factor_in_use() == 1.3
    assert _overlay_files.files_of(tmp_path) == (f"hhs_hcc/{NAME}.csv",)


# ---- revisions of a store of one's own ----


def store_of(folder: Path, *year_factors: float) -> Path:
    for factor in year_factors:
        write(folder / "new" / f"{NAME}.csv", factors(2031, factor))
        data_specs.add_tables(folder / "new", family="hhs_hcc", to=folder / "store")
    return folder / "store"


@pytest.mark.slow
def test_a_revision_is_asked_of_the_newest_supplier_that_keeps_it(tmp_path):
    installed = data_specs.table(TABLE, revision="r1")
    first, second = store_of(tmp_path / "a", 1.1, 1.2, 1.3), store_of(tmp_path / "b", 1.5, 1.6)
    with data_specs.use(first), data_specs.use(second):
        assert factor_in_use() == 1.6
        kept = [data_specs.table(TABLE, revision=f"r{n}") for n in (1, 2, 3)]
        assert kept[0].equals(factors(2031, 1.5))  # nothing of other suppliers with it
        assert kept[1].equals(factors(2031, 1.6))
        assert kept[2].equals(factors(2031, 1.3))  # only the first store has a third
        labels = data_specs.table("hhs_hcc/hcc_label", revision="r1")  # neither store keeps this table
        with pytest.raises(TableMissing, match=r"no revision 'r4'.*held: r1, r2, r3"):
            data_specs.table(TABLE, revision="r4")
    assert data_specs.table(TABLE, revision="r1").equals(installed)
    assert data_specs.table("hhs_hcc/hcc_label", revision="r1").equals(labels)


def test_a_kept_revision_that_was_changed_or_lost_is_refused(tmp_path):
    store = store_of(tmp_path, 1.1, 1.2)
    path = store / "tables" / "hhs_hcc" / f"{NAME}.csv"
    with data_specs.use(store):
        path.write_bytes(path.read_bytes().replace(b"1.1", b"1.4"))
        with pytest.raises(TableRefused, match=r"differs from the digest.*csr_factors\.csv"):
            data_specs.table(TABLE, revision="r1")
        path.unlink()
        with pytest.raises(TableRefused, match=r"the file of a revision is gone.*csr_factors\.csv"):
            data_specs.table(TABLE, revision="r1")
        assert factor_in_use() == 1.2


# ---- what is asked for ----


@pytest.mark.parametrize("year", ["2024", 2024.0, True, [2024], pl.lit(2024)])
def test_a_year_that_is_no_whole_number_is_refused(year):
    with pytest.raises(SettingRefused, match=r"`year` is a .*a whole number, for example 2025"):
        data_specs.table(TABLE, year=year)


@pytest.mark.parametrize("year", [0, -2024, 10**30, -(2**63) - 1])
def test_a_year_that_cannot_be_is_not_held(year):
    with pytest.raises(TableMissing, match="no rows for"):
        data_specs.table(TABLE, year=year)


def test_whole_numbers_of_other_libraries_are_years():
    import numpy as np

    assert data_specs.table(TABLE, year=np.int64(2024)).equals(data_specs.table(TABLE, year=2024))


@pytest.mark.parametrize("name", [None, 5, ["hhs_hcc/csr_factors"], b"hhs_hcc/csr_factors"])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(SettingRefused, match=r"`name` is a .*is text, for example"):
        data_specs.table(name)


@pytest.mark.parametrize("setting", ["state", "revision"])
@pytest.mark.parametrize("value", [1, ["r1"]])
def test_a_setting_that_is_no_text_is_refused(tmp_path, setting, value):
    with data_specs.use(areas(tmp_path, [READING])):
        assert data_specs.table("areas/readings", state="NY").height == 1
        with pytest.raises(SettingRefused, match=f"`{setting}` is a .*is text"):
            data_specs.table("areas/readings", **{setting: value})


@pytest.mark.parametrize("folder", [5, None, b"tables", ["tables"], "a\0b", "~nobody-of-this-name/tables"])
def test_a_folder_that_is_no_path_is_refused(tmp_path, folder):
    with pytest.raises(InputRefused, match=r"a folder is named by its path.*To do: "):
        data_specs.use(folder)
    with pytest.raises(InputRefused, match="a folder is named by its path"):
        data_specs.add_tables(folder, family="hhs_hcc", to=tmp_path)
    with pytest.raises(InputRefused, match="a folder is named by its path"):
        data_specs.add_tables(tmp_path, family="hhs_hcc", to=folder)
