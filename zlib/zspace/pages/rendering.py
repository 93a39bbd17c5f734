"""One executed notebook as one HTML page that needs nothing but the files beside it.

nbconvert turns cells into HTML; this module does what nbconvert leaves to a network: formulas
become MathML (`latex2mathml`), Plotly figures are drawn by the one `plotly.min.js` beside the page.
Both travel through nbconvert as tokens, so that neither Markdown nor HTML parsing can touch them.
Code is in the page, hidden until the reader asks for it.
"""

import ast
import html
import json
import re
import secrets
import warnings
from dataclasses import dataclass
from pathlib import Path

import jinja2
import latex2mathml.converter
import nbformat
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from .. import files
from ..errors import ZspaceError

_LONGEST_NAME = 220  # signs of a page's name, which may need a hash and an ending

PLOTLY = "application/vnd.plotly.v1+json"
# What a page can show without a network; scripts and widgets of other libraries are left out.
SHOWN = (
    PLOTLY, "text/html", "text/markdown", "image/svg+xml", "text/latex", "image/png", "image/jpeg",
    "text/plain",
)  # fmt: skip
PROGRESS_BAR = re.compile(r"\d+%\||\d+(?:it|[a-z]+)? \[\d\d:\d\d|\[\d\d:\d\d(?::\d\d)?[<,]")
FORMULA = re.compile(
    r"""
    (?P<code>
        ^[ ]{0,3}(?P<fence>`{3,}|~{3,}).*?^[ ]{0,3}(?P=fence)[^\n]*$     # fenced block
      | (?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)                 # code span
    )
    | (?P<dollar>\\\$)
    | \$\$(?P<block>.+?)\$\$
    | \$(?=[^\s$])(?P<inline>(?:\\.|[^$\\\n]|\n(?!\s*\n))+?)(?<!\s)\$(?!\d)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
EXTERNAL = re.compile(
    r"<(?:script|img|link|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|href|data)\s*=\s*"
    r"[\"']?\s*((?:https?:)?//[^\"'\s>]+)",
    re.IGNORECASE,
)
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


@dataclass(frozen=True)
class Page:
    """A rendered notebook.

    file : name of the HTML file. title : HTML of the first heading. source : path of the notebook
    below the folder of all notebooks. parameters : the values it ran with. failed : a cell raised.
    """

    file: str
    title: str
    source: Path
    parameters: dict
    failed: bool


def page(notebook: Path, below: Path, out: Path) -> Page:
    """Render `below/notebook` into the folder `out`; its name there is its path, joined by dashes.

    Formulas are those of Markdown and LaTeX: everything else shows a dollar as it is, because it may come
    from a text, a name or a path.

    Raises
    ------
    ZspaceError : the notebook cannot be read, holds a formula that cannot be converted, or would
        load something from a network; names notebook and cell.
    """
    nb = _read(below / notebook, notebook)
    tokens = _Tokens()
    for number, cell in enumerate(nb.cells):
        _prepare(cell, tokens, f"{notebook}, cell {number}")
    exporter = HTMLExporter(template_name="basic", exclude_anchor_links=True)
    exporter.exclude_input_prompt = exporter.exclude_output_prompt = True
    body, _ = exporter.from_notebook_node(nb)
    heading = next((m[1] for m in map(_first_heading, nb.cells) if m), notebook.stem)
    result = Page(
        file=_page_name(notebook, out),
        title=tokens.resolve(html.escape(heading, quote=False)),
        source=notebook,
        parameters=_parameters(nb),
        failed=any(o.output_type == "error" for c in nb.cells for o in c.get("outputs", ())),
    )
    text = TEMPLATES.get_template("page.html.j2").render(
        page=result,
        body=tokens.resolve(body),
        plain_title=html.unescape(re.sub(r"<[^>]*>", "", result.title)),
        has_figures=tokens.figures > 0,
        code_style=HtmlFormatter(style="default").get_style_defs(".highlight"),
    )
    _refuse_external(text, str(notebook))
    (out / result.file).write_text(text, encoding="utf-8")
    return result


def _page_name(notebook: Path, out: Path) -> str:
    """Name of a notebook's page in `out`: its path, joined by dashes, with a hash where that is none.

    Signs that a link would have to escape, names too long and names that are taken get the hash.
    """
    name = "-".join(notebook.with_suffix("").parts)
    is_plain = re.fullmatch(rf"[\w.-]{{1,{_LONGEST_NAME}}}", name, re.ASCII)
    if is_plain and name != "index" and not (out / f"{name}.html").exists():
        return f"{name}.html"
    return f"{files.slug(name, _LONGEST_NAME)}-{files.fingerprint(notebook.as_posix(), 12)}.html"


def _read(path: Path, notebook: Path) -> nbformat.NotebookNode:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells without an id: what matters is checked below
            nb = nbformat.read(path, as_version=4)
            nbformat.validate(nb)
    except Exception as error:  # foreign files make nbformat raise whatever its parts do
        cause = " ".join(str(error).split())[:200]
        raise ZspaceError(f"{notebook}: not a notebook that can be read ({cause}). Run it again.") from error
    return nb


def rich_text(text: str, where: str) -> str:
    """HTML of a line of plain text with formulas, e.g. a claim's statement; `where` goes into errors."""
    tokens = _Tokens()
    return tokens.resolve(html.escape(tokens.formulas(text, where), quote=False))


def mathml(formula: str, *, display: bool, where: str) -> str:
    """MathML of a LaTeX formula; raises ZspaceError where `latex2mathml` cannot read all of it."""
    try:
        converted = latex2mathml.converter.convert(formula, display="block" if display else "inline")
    except Exception as error:  # its exceptions share no base class but Exception
        raise ZspaceError(
            f"{where}: formula {formula!r} cannot be converted to MathML ({type(error).__name__} {error}). "
            "Write it with commands that latex2mathml knows."
        ) from error
    unknown = re.search(r"\\[A-Za-z]+", re.sub(r"<[^>]*>", " ", converted))
    if unknown:
        raise ZspaceError(
            f"{where}: formula {formula!r} uses {unknown[0]}, which latex2mathml does not know. "
            "Write it with another command."
        )
    return converted


class _Tokens:
    """Finished HTML that passes through Markdown and nbconvert as words which neither touches."""

    def __init__(self) -> None:
        self._html: dict[str, str] = {}
        self._name = f"zspacetoken{secrets.token_hex(8)}n"  # that no text can hold by chance or design
        self.figures = 0

    def put(self, finished: str) -> str:
        token = f"{self._name}{len(self._html):05d}end"
        self._html[token] = finished
        return token

    def resolve(self, text: str) -> str:
        return re.sub(rf"{self._name}\d{{5}}end", lambda match: self._html[match[0]], text)

    def formulas(self, text: str, where: str) -> str:
        """Markdown with each formula and each escaped dollar replaced by its token."""

        def replace(match: re.Match) -> str:
            if match["code"]:
                return match[0]
            if match["dollar"]:
                return self.put('<span class="dollar">$</span>')
            display = match["block"] is not None
            formula = match["block"] if display else match["inline"]
            return self.put(mathml(formula.strip(), display=display, where=where))

        found = FORMULA.sub(replace, text)
        bare = FORMULA.sub(lambda match: "" if match["code"] else match[0], found)
        if "$" in bare:
            at = bare.index("$")
            raise ZspaceError(
                f"{where}: a `$` without its pair in {bare[max(0, at - 30) : at + 30]!r}. "
                r"Close the formula, or write \$ for the sign."
            )
        return found

    def figure(self, spec: dict) -> str:
        """Place of a Plotly figure, drawn by the shared library to the width of the page.

        Without MathJax, which the page lacks, a dollar in its texts is a dollar.
        """
        self.figures += 1
        layout = {k: v for k, v in spec.get("layout", {}).items() if k != "width"} | {"autosize": True}
        figure = {k: spec.get(k, []) for k in ("data", "frames")} | {"layout": layout}
        figure["config"] = {"responsive": True, "displaylogo": False}
        # "<" cannot end the script element when it is written as an escape.
        code = json.dumps(figure).replace("<", "\\u003c")
        name = f"figure-{self.figures}"
        height = layout.get("height") or 450
        return self.put(
            f'<div id="{name}" class="figure" style="height:{height}px"></div>'
            f'<script>Plotly.newPlot("{name}", {code});</script>'
        )


def _prepare(cell, tokens: _Tokens, where: str) -> None:
    """Replace, in place, what nbconvert would hand to a network by tokens of finished HTML."""
    if cell.cell_type == "markdown":
        cell.source = tokens.formulas(cell.source, where)
    if cell.cell_type != "code":
        return
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            output.text = _without_progress(output.text)
        elif "data" in output:
            output.data = nbformat.from_dict(_shown(output.data, tokens, where))
    cell.outputs = [o for o in cell.outputs if o.get("data") or o.get("text", "").strip() or "ename" in o]


def _shown(data: dict, tokens: _Tokens, where: str) -> dict:
    """The one form of a displayed object that the page shows."""
    kind = next((kind for kind in SHOWN if kind in data), None)
    if kind is None:
        return {}
    content = data[kind]
    if kind == PLOTLY:
        return {"text/html": tokens.figure(content)}
    if kind in ("text/markdown", "text/latex"):
        return {"text/html" if kind == "text/latex" else kind: tokens.formulas(content, where)}
    return {kind: content}


def _without_progress(text: str) -> str:
    """Standard error without progress bars: what a carriage return overwrote, and the last state."""
    lines = re.split(r"[\r\n]", text)
    return "\n".join(line for line in lines if not PROGRESS_BAR.search(line)).strip("\n")


def _parameters(nb) -> dict:
    """Values the notebook ran with: the literals of its parameter cells, later cells first."""
    found = {}
    for cell in nb.cells:
        if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", ())):
            for statement in _statements(cell.source):
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                    found[statement.targets[0].id] = _literal(statement.value)
    return found


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError):  # no Python: a run that failed on it has no parameters
        return []


def _literal(node: ast.expr):
    try:
        return ast.literal_eval(node)
    except ValueError:  # an expression: shown as it is written
        return ast.unparse(node)


def _first_heading(cell) -> re.Match | None:
    return re.search(r"^#\s+(.+?)\s*$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None


def _refuse_external(text: str, where: str) -> None:
    """Raise where the page would load something from another host (links to follow are fine)."""
    outside = EXTERNAL.search(re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))
    if outside:
        raise ZspaceError(
            f"{where}: the page would load {outside[1]}. A report opens without a network: display the "
            "object as text, as a PNG picture or as a Plotly figure with renderer plotly_mimetype."
        )
