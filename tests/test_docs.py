"""The documentation says what the program does: marked blocks run, their output is compared, links lead somewhere.

A block runs when a comment stands right above it; its page is one story, in one folder that holds a copy of examples/:

    <!-- run -->                 a `python` or `console` block (lines that begin with "$ " are commands)
    <!-- run: exit 2 -->         a command that ends with that code
    <!-- run: slow -->           in the slow selection only; so is the rest of its page's story
    <!-- output -->              the `text` block that the Python block before it prints

A block with a title is a file: one of examples/ must be as shown, any other one is written. "..." stands for anything.
"""

import contextlib
import doctest
import importlib
import importlib.util
import io
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

import data_specs
import riskadjust
from data_specs import _registry, errors
from data_specs._frames import INPUT_COLUMNS
from data_specs._registry import contracts
from data_specs.formats import diy, folder
from riskadjust._claims import _COLUMNS, ClaimSettings
from riskadjust._settings import ScoringSettings

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
READ_FIRST = ("README.md", "docs/quick-start.md")  # what a newcomer meets is tried in every run
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>run|output)(?:: (?P<options>[^>]*))? -->\n)?^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$",
    re.M | re.S,
)
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")
ANCHOR_OF_A_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="a source distribution has no docs folder")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with what its comment asks for."""

    line: int
    language: str
    title: str
    body: str
    mark: str
    options: tuple[str, ...]

    @property
    def is_slow(self):
        return "slow" in self.options

    @property
    def exit_code(self):
        return next((int(option.split()[1]) for option in self.options if option.startswith("exit ")), 0)


def read(path):
    return path.read_text(encoding="utf-8")


def blocks(path):
    text = read(path)
    found = []
    for match in BLOCK.finditer(text):
        info = match["info"].strip()
        title = re.search(r'title="([^"]+)"', info)
        found.append(
            Block(
                line=text.count("\n", 0, match.start()) + 1,
                language=info.split(" ")[0],
                title=title[1] if title else "",
                body=match["body"],
                mark=match["mark"] or "",
                options=tuple(option.strip() for option in (match["options"] or "").split(",") if option.strip()),
            )
        )
    return found


def name_of(path):
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def made_part(name):
    """A module of docs/, which is no package."""
    specification = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hooks():
    """The makers of generated pages; they need poolwise, but not mkdocs."""
    made_part("generate_catalog")
    return made_part("build_hooks")


@pytest.fixture(scope="module")
def catalog_page(hooks):
    return hooks.catalog_page()


# ------------------------------------------------------------------------------------------------ blocks that run


def agree(said, expected, where):
    if doctest.OutputChecker().check_output(expected, said, FLAGS):
        return
    pytest.fail(f"{where} shows\n{expected}\nbut it is\n{said}", pytrace=False)


def run_command(command, exit_code, where):
    """Run one line of a console block and return what it said."""
    words = shlex.split(command)
    if words[0] == "poolwise":
        # In this process: a second one for each command would take most of the time.
        from typer.testing import CliRunner

        from poolwise.cli import app

        result = CliRunner().invoke(app, words[1:], prog_name="poolwise")
        code, said = result.exit_code, result.output
    else:
        assert words[0] == "python", f"{where}: only poolwise and python are run"
        ended = subprocess.run([sys.executable, *words[1:]], capture_output=True, check=False, encoding="utf-8")
        code, said = ended.returncode, ended.stdout + ended.stderr
    assert code == exit_code, f"{where}: {command} ended with {code}\n{said}"
    return said


def run_console(block, where):
    for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        said = run_command(command, block.exit_code, where)
        if expected.strip():
            agree(said, expected, where)


def run_python(block, names):
    with contextlib.redirect_stdout(io.StringIO()) as said, warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(block.body, "a block of a page", "exec"), names)
    return said.getvalue()


def put_file(block, where):
    if block.title.startswith("examples/"):
        assert block.body == read(ROOT / block.title), f"{where}: {block.title} is not as shown"
        return
    Path(block.title).parent.mkdir(parents=True, exist_ok=True)
    Path(block.title).write_text(block.body, encoding="utf-8")


def run_page(path, with_slow):
    names = {"__name__": "page"}
    printed = ""
    for block in blocks(path):
        where = f"{name_of(path)}, line {block.line}"
        if block.is_slow and not with_slow:
            continue
        if block.title:
            put_file(block, where)
        elif block.mark == "output":
            agree(printed, block.body, where)
        elif block.mark == "run" and block.language == "console":
            run_console(block, where)
        elif block.mark == "run":
            assert block.language == "python", f"{where}: {block.language} cannot be run"
            printed = run_python(block, names)


@pytest.fixture
def story(tmp_path, monkeypatch):
    """An empty folder with the examples in it; tables that a page put to use are put away again."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_registry, "_used", [])
    monkeypatch.delenv("POOLWISE_TABLES", raising=False)


def pages_with(is_wanted):
    return [
        pytest.param(path, id=name_of(path))
        for path in PAGES
        if path.is_file() and any(block.mark == "run" and is_wanted(block) for block in blocks(path))
    ]


@pytest.mark.every_case
@pytest.mark.parametrize(
    "path", [page for page in pages_with(lambda block: not block.is_slow) if page.id in READ_FIRST]
)
def test_marked_blocks_of_the_first_pages_run_as_shown(path, story):
    run_page(path, with_slow=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [page for page in pages_with(lambda block: not block.is_slow) if page.id not in READ_FIRST]
)
def test_marked_blocks_run_as_shown(path, story):
    run_page(path, with_slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("path", pages_with(lambda block: block.is_slow))
def test_slow_blocks_run_as_shown(path, story):
    run_page(path, with_slow=True)


def test_no_mark_is_lost():
    """A mark that does not stand right above a block would silently run nothing."""
    for path in PAGES:
        marks = len(re.findall(r"^<!-- (?:run|output)\b.*-->$", read(path), re.MULTILINE))
        assert marks == sum(bool(block.mark) for block in blocks(path)), name_of(path)


def test_output_follows_a_python_block():
    for path in PAGES:
        marked = [block for block in blocks(path) if block.mark]
        for before, block in zip([None, *marked], marked, strict=False):
            if block.mark == "output":
                assert before is not None, f"{name_of(path)}, line {block.line}"
                assert before.language == "python", f"{name_of(path)}, line {block.line}"


def test_a_wrong_output_is_noticed(tmp_path, story):
    page = tmp_path / "page.md"
    page.write_text("<!-- run -->\n```python\nprint(1)\n```\n\n<!-- output -->\n```text\n2\n```\n", encoding="utf-8")
    with pytest.raises(pytest.fail.Exception, match="but it is"):
        run_page(page, with_slow=False)


# ------------------------------------------------------------------------------------------------ links


def anchors(text):
    """The anchors of a page: its headings as mkdocs names them, and those given by hand."""
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = set()
    for heading in ANCHOR_OF_A_HEADING.findall(plain):
        given = re.search(r"\{ #([\w-]+) \}", heading)
        slug = re.sub(r"[^\w\s-]", "", heading.lower().replace("`", "")).strip()
        found.add(given[1] if given else re.sub(r"[-\s]+", "-", slug))
    return found


@pytest.mark.parametrize("path", [pytest.param(path, id=name_of(path)) for path in PAGES])
def test_links_lead_somewhere(path, catalog_page):
    text = re.sub(r"^```.*?^```$", "", read(path), flags=re.MULTILINE | re.DOTALL)
    lost = []
    for link in LINK.findall(text):
        if link.startswith(("https://", "mailto:")):
            continue
        place, _, anchor = link.partition("#")
        target = (path.parent / place).resolve() if place else path
        is_catalog = target == DOCS / "tables.md"
        is_there = is_catalog or target.exists()
        if not is_there or (anchor and anchor not in anchors(catalog_page if is_catalog else read(target))):
            lost.append(link)
    assert lost == []


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r":\s+(\S+\.md)$", read(ROOT / "mkdocs.yml"), re.MULTILINE))
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} <= listed
    assert "tables.md" in listed


# ------------------------------------------------------------------------------------------------ made pages


def test_catalog_page_mentions_every_table_and_column(catalog_page):
    sections = dict(re.findall(r"^## (\S+) \{ #[\w-]+ \}\n(.*?)(?=^## |\Z)", catalog_page, re.MULTILINE | re.DOTALL))
    assert set(sections) == set(contracts())
    for name, contract in contracts().items():
        for column in contract.columns:
            assert f"`{column.name}`" in sections[name], f"{name}.{column.name}"
        assert contract.source in sections[name]


def test_catalog_page_says_what_every_column_means(hooks):
    from generate_catalog import meaning

    known = contracts().values()
    assert [f"{t.full_name}.{c.name}" for t in known for c in t.columns if not meaning(t, c)] == []


def test_catalog_page_counts_rows_by_mark(catalog_page):
    coefficients = data_specs.table("hhs_hcc/coefficients")
    verified = int((coefficients["verification"] == "verified").sum())
    row = next(line for line in catalog_page.splitlines() if line.startswith("| [`hhs_hcc/coefficients`]"))
    assert f"| {coefficients.height:,} | verified {verified:,}<br>" in row


@pytest.mark.slow
def test_catalog_script_runs(tmp_path):
    page = tmp_path / "tables.md"
    subprocess.run([sys.executable, str(DOCS / "generate_catalog.py"), str(page)], check=True)
    assert read(page).startswith("# Catalog of tables")


@pytest.mark.slow
def test_every_made_part_can_be_made(hooks):
    asked = [found for path in PAGES for found in hooks.PLACE.finditer(read(path))]
    assert asked
    for found in asked:
        part = hooks.filled(found[0])
        assert len(part) > 50, found[0]
        assert "made:" not in part, found[0]


def test_rules_of_a_run_are_on_the_page(hooks):
    table = hooks.rules()
    year = folder.read_folder(ROOT / "examples/year")
    result = riskadjust.score(year.enrollees, year.spans, year.diagnoses, year.drugs, benefit_year=2025)
    assert result.findings.height > 3
    for rule_id in result.findings["rule_id"]:
        assert f"`{rule_id}`" in table


def test_reference_lists_every_public_name(hooks):
    page = hooks.filled(read(DOCS / "reference.md"))
    for package in ("riskadjust", "data_specs"):
        for name in importlib.import_module(package).__all__:
            assert f"::: {package}.{name}\n" in page


# ------------------------------------------------------------------------------------------------ what pages must say


def test_settings_are_described_with_their_defaults_first():
    page = read(DOCS / "scoring/settings.md")
    for settings in (ScoringSettings, ClaimSettings):
        for field in fields(settings):
            values = settings.CHOICES.get(field.name, (field.default,))
            assert values[0] == field.default
            row = next((line for line in page.splitlines() if line.startswith(f"| `{field.name}` |")), "")
            shown = [f'("{field.default[0]}",)'] if isinstance(field.default, tuple) else [str(v) for v in values]
            places = [row.find(f"`{value}`") for value in shown]
            assert -1 not in places, field.name
            assert places == sorted(places), field.name


def test_input_columns_are_described():
    page = read(DOCS / "scoring/inputs.md")
    needed = {c for columns in [*INPUT_COLUMNS.values(), *diy._COLUMNS.values()] for c in columns}
    assert [column for column in sorted(needed) if f"`{column}`" not in page] == []


def test_claim_columns_are_described():
    page = read(DOCS / "scoring/claims.md")
    needed = {column for columns in _COLUMNS.values() for column in columns} | set(_COLUMNS)
    assert [column for column in sorted(needed) if f"`{column}`" not in page] == []


def test_result_columns_are_described():
    page = read(DOCS / "scoring/results.md")
    result = riskadjust.score_diy(ROOT / "examples/diy_year", benefit_year=2025, explain=True)
    frames = [result.scores, result.findings, result.counts, result.uncertain]
    columns = {column for frame in frames for column in frame.columns}
    parts = {field.name for field in fields(riskadjust.Scores)} - {"benefit_year"}
    assert [name for name in sorted(columns | parts) if f"`{name}`" not in page] == []


def test_errors_are_described():
    page = read(DOCS / "errors.md")
    assert [name for name in errors.__all__ if f"`{name}`" not in page.replace("data_specs.errors.", "")] == []


def test_years_are_those_that_can_be_scored():
    from riskadjust._tables import _years_complete

    assert _years_complete() == "2018-2019, 2021-2026"
    for path in (ROOT / "README.md", DOCS / "scoring/index.md"):
        text = read(path)
        for year in ("2018", "2019", "2020", "2021", "2026", "2027"):
            assert year in text, f"{name_of(path)}: {year}"


def test_readme_is_short():
    assert len(read(ROOT / "README.md").splitlines()) <= 150


def test_changelog_knows_the_version():
    project = re.search(r'^version = "([^"]+)"', read(ROOT / "pyproject.toml"), re.MULTILINE)
    assert f"## [{project[1]}]" in read(ROOT / "CHANGELOG.md")
