"""Tables whose rows hold from a first to a last year: looked up by year, checked for overlap, overlaid as a whole."""

import polars as pl
import pytest
import tomlkit

import data_specs
from data_specs._contract import contract_from_entry
from data_specs._registry import rows, rows_in_force
from data_specs._years import years_held
from data_specs.errors import SettingRefused, TableMissing, TableRefused

NAME = "fees/broker_fees"
COLUMNS = [
    {"name": "state", "type": "text"},
    {"name": "first_year", "type": "int"},
    {"name": "last_year", "type": "int", "nullable": True},
    {"name": "fee", "type": "number"},
]
ENTRY = {"name": "broker_fees", "title": "Fees", "source": "made up", "key": ["state", "first_year"], "column": COLUMNS}
SPAN = {"first_year_column": "first_year", "last_year_column": "last_year", "state_column": "state"}
ROWS = [("NY", 2014, 2017, 1.5), ("NY", 2018, None, 2.0), ("VT", 2015, 2016, 3.0)]


@pytest.fixture
def folder(tmp_path):
    """Writes a folder of one table whose rows hold for spans of years, with its catalog."""

    def write(rows=ROWS, **changes):
        entry = {key: value for key, value in (ENTRY | SPAN | changes).items() if value is not None}
        (tmp_path / "catalog").mkdir()
        text = tomlkit.dumps({"family": "fees", "table": [entry]})
        (tmp_path / "catalog" / "fees.toml").write_text(text, encoding="utf-8")
        frame = pl.DataFrame(rows, schema=[c["name"] for c in COLUMNS], orient="row")
        frame.write_csv(tmp_path / "broker_fees.csv")
        return tmp_path

    return write


def fees(**filters) -> list[tuple]:
    return data_specs.table(NAME, **filters).select("state", "fee").rows()


def test_a_year_finds_the_rows_that_hold(folder):
    with data_specs.use(folder()):
        assert fees(year=2014) == [("NY", 1.5)]
        assert fees(year=2016) == [("NY", 1.5), ("VT", 3.0)]
        assert fees(year=2017) == [("NY", 1.5)]
        assert fees(year=2018) == fees(year=2099) == [("NY", 2.0)]
        assert fees(year=2016, state="VT") == [("VT", 3.0)]
        assert len(fees()) == 3
        for year in (2013, -(10**30), 10**30):
            with pytest.raises(TableMissing, match=rf"no rows for {year}.*held: 2014 and later"):
                fees(year=year)
        with pytest.raises(TableMissing, match="no row for state 'VT'"):
            fees(year=2020, state="VT")


def test_a_year_without_rows_may_be_asked_for(folder):
    with data_specs.use(folder()):
        assert rows_in_force(NAME, 2016)["fee"].to_list() == [1.5, 3.0]
        assert rows_in_force(NAME, 2016).equals(rows(NAME, year=2016))
        for year in (2013, -(10**30), 10**30):
            assert rows_in_force(NAME, year).height == 0
        assert rows_in_force(NAME, 2013).schema == rows(NAME).schema
        for year in (True, "2016", 2016.0, None):
            with pytest.raises(SettingRefused, match="`year` is a whole number"):
                rows_in_force(NAME, year)
    with pytest.raises(TableMissing, match="no table is called"):
        rows_in_force(NAME, 2016)


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        ([(2014, 2017), (2018, None)], "2014 and later"),
        ([(2014, 2015), (2018, None), (2020, 2021)], "2014-2015, 2018 and later"),
        ([(2014, 2015), (2016, 2016), (2019, 2019)], "2014-2016, 2019"),
        ([(2020, None), (2014, 2019)], "2014 and later"),
    ],
)
def test_years_held(spans, said):
    contract = contract_from_entry("fees", ENTRY | SPAN, "here")
    frame = pl.DataFrame(spans, schema={"first_year": pl.Int64, "last_year": pl.Int64}, orient="row")
    assert years_held(frame, contract) == said
    assert years_held(frame.reverse(), contract) == said


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([("NY", 2014, 2013, 1.0)], "row 2, column last_year: not before first_year"),
        ([("NY", 2014, None, 1.0), ("NY", 2018, None, 2.0)], "row 3, column first_year: a year has one row of"),
        ([("NY", 2018, None, 1.0), ("NY", 2014, 2018, 2.0)], "row 2, column first_year: a year has one row of"),
        # The second ends before the third begins; the first does not.
        (
            [("NY", 2014, 2020, 1.0), ("VT", 2014, 2020, 1.0), ("NY", 2022, 2023, 1.0), ("NY", 2015, 2015, 1.0)],
            "row 5, column first_year: a year has one row of",
        ),
        (
            [("NY", 2014, 2020, 1.0), ("NY", 2015, 2015, 1.0), ("NY", 2018, 2023, 1.0)],
            "row 3, column first_year.*row 4, column first_year",
        ),
    ],
)
def test_rows_of_one_key_do_not_overlap(folder, rows, says):
    with pytest.raises(TableRefused, match=rf"broker_fees\.csv.*{says}"):
        data_specs.use(folder(rows))
    assert NAME not in data_specs.catalog()["name"].to_list()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"last_year_column": None}, "does not say clearly which years"),
        ({"first_year_column": None}, "does not say clearly which years"),
        ({"year_column": "first_year"}, "does not say clearly which years"),
        ({"last_year_column": "end"}, "'end', which it does not describe"),
        ({"first_year_column": "state"}, "has years in column 'state'"),
        ({"first_year_column": "last_year", "last_year_column": "first_year"}, "has years in column 'last_year'"),
        ({"first_year_column": None, "last_year_column": None, "year_column": "state"}, "has years in column 'state'"),
    ],
)
def test_an_entry_says_clearly_which_years_hold(folder, changes, says):
    with pytest.raises(TableRefused, match=rf"{says}.*fees\.toml"):
        data_specs.use(folder(**changes))


def test_an_overlay_replaces_the_whole_table(tmp_path):
    tiers = data_specs.table("rating/family_tiers")
    ours = tiers.filter(state="VT").with_columns(pl.lit(2027).alias("first_plan_year"))
    ours.write_csv(tmp_path / "family_tiers.csv")
    with data_specs.use(tmp_path):
        assert data_specs.table("rating/family_tiers").equals(ours)
        assert data_specs.table("rating/family_tiers", year=2030, state="VT").equals(ours)
        with pytest.raises(TableMissing, match="held: 2027 and later"):
            data_specs.table("rating/family_tiers", year=2026)
        assert data_specs.table("rating/family_tiers", revision="r1").equals(tiers)
    assert data_specs.table("rating/family_tiers").equals(tiers)


@pytest.mark.slow
def test_the_way_in_records_the_years(folder):
    source = folder()
    added = [data_specs.add_tables(source, family="fees", to=source / "store")[0] for _ in range(2)]
    assert [(a.action, a.years) for a in added] == [("added", "2014 and later"), ("unchanged", "2014 and later")]
    with data_specs.use(source / "store"):
        line = data_specs.catalog().filter(name=NAME)
        assert line["years"].to_list() == ["2014 and later"]
        assert data_specs.table(NAME, year=2016, revision="r1").height == 2


def test_the_way_in_mends_the_years_of_an_entry_that_says_more_by_now(folder):
    source = folder(first_year_column=None, last_year_column=None)
    store = source / "store"
    assert data_specs.add_tables(source, family="fees", to=store)[0].years == ""
    path = store / "catalog" / "fees.toml"
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    document["table"][0].update(SPAN)
    path.write_text(tomlkit.dumps(document), encoding="utf-8")
    (added,) = data_specs.add_tables(source, family="fees", to=store)
    assert (added.action, added.revision, added.years) == ("unchanged", "r1", "2014 and later")
    (entry,) = tomlkit.parse(path.read_text(encoding="utf-8"))["table"]
    assert [line["years"] for line in entry["revision"]] == ["2014 and later"]
