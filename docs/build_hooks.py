"""What mkdocs asks for while it builds: the pages and parts of pages that are made from the code and its tables.

A page asks for a part with a comment of its own line: ``<!-- made: rules -->``.
"""

import ast
import importlib
import re
from pathlib import Path

import polars as pl
from generate_catalog import catalog_page, code, markdown_table

ROOT = Path(__file__).resolve().parent.parent
CATALOG_PAGE = "tables.md"
PLACE = re.compile(r"^<!-- made: (\w+)(?: ([\w ]+))? -->$", re.MULTILINE)
ROLE = re.compile(r":(func|class|meth):<code>([\w.]+)</code>")
RULE_ID = re.compile(r'"((?:MEM|SPAN|PLAN|MED|RX|HCC)-[0-9]{3})"')


def on_files(files, config):
    from mkdocs.structure.files import File

    files.append(File.generated(config, CATALOG_PAGE, content=catalog_page()))
    return files


def on_page_markdown(markdown, **_):
    return filled(markdown)


def on_page_content(html, **_):
    return ROLE.sub(linked_name, html)


def linked_name(found):
    """A name in a docstring, as a link where the page has it."""
    name = found[2]
    return f'<a href="#{name}"><code>{name}</code></a>' if f'id="{name}"' in found.string else f"<code>{name}</code>"


def filled(markdown):
    """A page with every part that it asks for."""
    return PLACE.sub(lambda found: PARTS[found[1]](*filter(None, [found[2]])), markdown)


def rules():
    """The rules that a scoring run can name, with the texts of the two rule tables."""
    from riskadjust._findings import rule_texts

    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "riskadjust").glob("*.py"))]
    named = sorted({rule for source in sources for rule in RULE_ID.findall(source)})
    found = rule_texts().filter(pl.col("rule_id").is_in(named)).sort("rule_id")
    rows = [
        [code(rule), severity, action, condition, "" if basis == "-" else basis]
        for rule, severity, action, condition, basis in found.rows()
    ]
    return markdown_table(["rule", "severity", "action", "when", "basis"], rows)


def modules(package):
    """The modules of a package, or the kernels, with the first line of what each says of itself."""
    rows = []
    for path in sorted((ROOT / package).rglob("*.py*")):
        if path.suffix not in (".py", ".pyx") or "__pycache__" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        said = ast.get_docstring(ast.parse(text)) if path.suffix == ".py" else text.split('"""')[1]
        first = (said or "").split("\n\n")[0].replace("\n", " ")
        rows.append([code(path.relative_to(ROOT).as_posix()), first])
    return markdown_table(["file", "what it holds"], rows)


def command_help(command=""):
    """What a command says when it is asked for help."""
    from typer.testing import CliRunner

    from poolwise.cli import app

    asked = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="poolwise")
    return f"```text\n{asked.output.rstrip()}\n```\n"


def reference(package):
    """A place for each public name of a package; the reader of docstrings fills it."""
    return "\n".join(f"::: {package}.{name}\n" for name in importlib.import_module(package).__all__)


PARTS = {"help": command_help, "modules": modules, "reference": reference, "rules": rules}
