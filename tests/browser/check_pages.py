#!/usr/bin/env python3
"""Open a report, and a notebook in JupyterLab, in headless Chromium and say what is wrong with them.

    python tests/browser/check_pages.py --report runs/report --notebook notebooks/NAME.ipynb --shots shots

Report, each page from its file at 1200 and 800 pixels: no console error, no request to any host, no two texts
on top of each other, no text of a figure cut off, no raw `$`, nothing to scroll sideways. JupyterLab: every
cell runs, a Plotly figure is drawn and can be read, no console error, no request to another host; the
notebook is copied first. Pictures of everything go to the `--shots` folder: look at them. Exit status 1 if
anything is wrong.
"""

import argparse
import contextlib
import itertools
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat
import numpy as np
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Page, sync_playwright

WIDTHS = (1200, 800)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)
SWITCHES += ("--disable-component-update", "--disable-sync")
# Texts whose boxes cross by less than this, or by less than this share of a line, only touch.
TOUCH_PIXELS, TOUCH_SHARE = 2.5, 0.2

TEXT_BOXES = (Path(__file__).parent / "text_boxes.js").read_text(encoding="utf-8")


@contextlib.contextmanager
def chromium() -> Iterator:
    """Headless Chromium found on the machine; raises FileNotFoundError where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        raise FileNotFoundError(f"no browser: install one of {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=SWITCHES)
        try:
            yield browser
        finally:
            browser.close()


def crossing(a: np.ndarray, b: np.ndarray) -> float:
    """Depth in pixels to which two rectangles (4, 2), turned or not, cross; 0 where they do not.

    By the separating axis theorem: the smallest overlap of their shadows on the normals of their sides.
    """
    depth = np.inf
    for sides in (a, b):
        for edge in (sides[1] - sides[0], sides[2] - sides[1]):
            normal = np.array([-edge[1], edge[0]]) / max(np.hypot(*edge), 1e-9)
            shadow_a, shadow_b = a @ normal, b @ normal
            overlap = min(shadow_a.max(), shadow_b.max()) - max(shadow_a.min(), shadow_b.min())
            depth = min(depth, overlap)
    return max(float(depth), 0.0)


def overlaps(boxes: Sequence[dict]) -> Iterator[str]:
    """Pairs of texts that stand on top of each other."""
    shapes = [np.array(box["corners"], dtype=float) for box in boxes]
    tops = np.array([s[:, 1].min() for s in shapes])
    order = np.argsort(tops)
    for place, i in enumerate(order):
        for j in order[place + 1 :]:
            if tops[j] >= shapes[i][:, 1].max():
                break
            lines = [np.hypot(*(s[2] - s[1])) for s in (shapes[i], shapes[j])]
            if crossing(shapes[i], shapes[j]) > max(TOUCH_PIXELS, TOUCH_SHARE * min(lines)):
                yield f"{boxes[i]['text'][:60]!r} and {boxes[j]['text'][:60]!r} overlap"


def cut_off(boxes: Sequence[dict]) -> Iterator[str]:
    """Texts of figures that reach beyond their figure."""
    for box in boxes:
        if box.get("frame"):
            shape = np.array(box["corners"])
            left, top, right, bottom = box["frame"]
            (x, y), (x_end, y_end) = shape.min(0), shape.max(0)
            beyond = max(left - x, top - y, x_end - right, y_end - bottom)
            if beyond > TOUCH_PIXELS:
                yield f"{box['text'][:60]!r} is cut off by {beyond:.0f} px"


def text_problems(page: Page) -> list[str]:
    """What is wrong with the texts of an open page."""
    boxes = page.evaluate(TEXT_BOXES)
    texts = [b["text"] for b in boxes if b["kind"] in ("prose", "svg")]
    dollars = [f"raw $ in {text[:60]!r}" for text in texts if "$" in text]
    return [*overlaps(boxes), *cut_off(boxes), *dict.fromkeys(dollars)]


def listen(page: Page, allowed: Sequence[str]) -> list[str]:
    """Console errors and requests to other places than `allowed`, collected while the page is used."""
    found = []

    def console(message) -> None:
        if message.type == "error":
            found.append(f"console: {message.text[:300]} ({message.location.get('url', '')[:200]})")

    def request(sent) -> None:
        if not sent.url.startswith(tuple(allowed)):
            found.append(f"external request: {sent.url[:200]}")

    page.on("console", console)
    page.on("request", request)
    page.on("pageerror", lambda error: found.append(f"console: {str(error)[:300]}"))
    return found


def check_report(report: Path, shots: Path) -> list[str]:
    """What is wrong with the pages of a report."""
    problems = []
    with chromium() as browser:
        for path, width in itertools.product(sorted(report.glob("*.html")), WIDTHS):
            page = browser.new_page(viewport={"width": width, "height": 1000})
            heard = listen(page, ("file:", "data:", "blob:"))
            page.goto(path.resolve().as_uri())
            page.wait_for_function(
                "() => [...document.querySelectorAll('.figure')].every(f => f.querySelector('.main-svg'))"
            )
            page.wait_for_timeout(300)  # figures settle to the width of the page
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                heard.append("wider than the window")
            heard += text_problems(page)
            page.screenshot(path=shots / f"{path.stem}-{width}.png", full_page=True)
            if page.locator("details:not([open]), #show-code").count():
                page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
                page.evaluate("document.querySelectorAll('#show-code').forEach(c => c.click())")
                heard += [f"all opened: {problem}" for problem in text_problems(page)]
            problems += [f"{path.name} at {width} px: {problem}" for problem in dict.fromkeys(heard)]
            page.close()
    return problems


@contextlib.contextmanager
def jupyterlab(folder: Path) -> Iterator[str]:
    """Address of a JupyterLab of our own on `folder`, with its token; it ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    settings = folder / ".settings"
    homes = (
        "JUPYTER_CONFIG_DIR",
        "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR",
        "JUPYTER_RUNTIME_DIR",
    )
    environment = os.environ | {name: str(settings / name.lower()) for name in homes}
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        f"--notebook-dir={folder}",
        f"--port={port}",
    ]
    command += ["--ip=127.0.0.1", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    chosen = {
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        # JupyterLab draws only the cells in view otherwise, and neither prompts nor figures could be counted
        "notebook-extension/tracker": {"windowingMode": "none"},
    }
    for name, values in chosen.items():
        path = settings / "jupyterlab_settings_dir" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    with (settings / "log.txt").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not _answers(f"{address}/api/status?token={token}"):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start: {(settings / 'log.txt').read_text()[-2000:]}")
            time.sleep(0.3)
        yield f"{address}/lab/tree/{{}}?token={token}&reset"
    finally:
        server.terminate()
        server.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def check_lab(notebook: Path, shots: Path, *, timeout: float = 600.0) -> list[str]:
    """What is wrong with a notebook when all its cells are run in JupyterLab."""
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        nb = nbformat.read(notebook, as_version=4)
        for cell in nb.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(nb, folder / notebook.name)
        if (notebook.parent / "data").is_dir():
            shutil.copytree(notebook.parent / "data", folder / "data")
        with jupyterlab(folder) as address:
            page = browser.new_page(viewport={"width": 1200, "height": 1500})
            host = address.split("/lab/")[0]
            heard = listen(page, (host, host.replace("http", "ws"), "data:", "blob:"))
            page.goto(address.format(urllib.parse.quote(notebook.name)), wait_until="domcontentloaded")
            problems = _run_all(page, timeout) or _saved_errors(page, folder / notebook.name)
            page.screenshot(path=shots / f"lab-{notebook.stem}.png")
            problems += _figure_problems(page, shots / f"lab-{notebook.stem}")
            problems += dict.fromkeys(heard)
    return [f"{notebook.name} in JupyterLab: {problem}" for problem in problems]


def _run_all(page: Page, timeout: float) -> list[str]:
    """Run all cells of the open notebook; returns what went wrong."""
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    page.wait_for_timeout(3000)  # Lab restores its windows and connects the kernel
    for word in ("Decline", "Dismiss"):
        button = page.locator(f'button:has-text("{word}")').first
        if button.count() and button.is_visible():
            button.click()
    question = page.locator("dialog.jp-Dialog")
    if question.count():
        return [f"JupyterLab asks before it runs anything: {question.first.inner_text()[:300]!r}"]
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.locator('li[data-command="runmenu:run-all"]').first.click()
    prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent)"
    try:
        page.wait_for_function(
            f"() => {{ const p = {prompts}; return p.length && p.every(t => /\\[\\d+\\]:/.test(t)); }}",
            timeout=1000 * timeout,
        )
    except BrowserError:
        return [f"not all cells ran within {timeout:.0f} s: {page.evaluate(prompts)}"]
    page.wait_for_timeout(2500)
    return []


def _saved_errors(page: Page, copy: Path) -> list[str]:
    """Errors in the notebook as JupyterLab saves it."""
    before = copy.stat().st_mtime_ns
    page.keyboard.press("Control+s")
    deadline = time.monotonic() + 20
    while copy.stat().st_mtime_ns == before:
        if time.monotonic() > deadline:
            return ["JupyterLab did not save the notebook"]
        page.wait_for_timeout(300)
    cells = [c for c in nbformat.read(copy, as_version=4).cells if c.cell_type == "code"]
    errors = [o for c in cells for o in c.outputs if o.output_type == "error"]
    return [f"a cell raised {error.ename}: {error.evalue[:300]}" for error in errors]


def _figure_problems(page: Page, shot: Path) -> list[str]:
    """What is wrong with the figures of the open notebook, each scrolled into view."""
    figures = page.locator(".jp-RenderedPlotly")
    problems = [] if figures.count() else ["no Plotly figure among the outputs"]
    for at in range(figures.count()):
        figures.nth(at).scroll_into_view_if_needed()
        figures.nth(at).hover()  # an output that has a picture too shows the figure under the mouse only
        try:
            figures.nth(at).locator(".plot-container").first.wait_for(timeout=15_000)
        except BrowserError:
            problems.append(f"Plotly figure {at + 1} was not drawn")
            continue
        page.wait_for_timeout(500)
        boxes = [box for box in page.evaluate(TEXT_BOXES) if box.get("frame")]
        problems += [*overlaps(boxes), *cut_off(boxes)]
        figures.nth(at).screenshot(path=f"{shot}-figure-{at + 1}.png")
    return list(dict.fromkeys(problems))


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--report", type=Path, help="folder of a report")
    parser.add_argument("--notebook", type=Path, help="notebook to run in JupyterLab")
    parser.add_argument("--shots", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds the notebook may take")
    chosen = parser.parse_args()
    chosen.shots.mkdir(parents=True, exist_ok=True)
    problems = check_report(chosen.report, chosen.shots) if chosen.report else []
    problems += check_lab(chosen.notebook, chosen.shots, timeout=chosen.timeout) if chosen.notebook else []
    print("\n".join(problems) or "nothing wrong", f"\npictures in {chosen.shots}")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
