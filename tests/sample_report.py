"""An invented ledger and invented executed notebooks, shaped like real ones, to build a report from."""

import json
from itertools import product
from pathlib import Path

import nbformat.v4 as nbf
import plotly.graph_objects as go

MODELS = ("gemma-3-270m", "smollm2-135m-instruct")
CORPUS = "number-stories/spelled-out"
OTHER_CORPUS = "mgsm/masked"  # of the first model's two predictions only
CLAIMS = {
    "prediction_1_aligned": (
        "Prediction 1a. Translations are nearest neighbours in the middle layers",
        "prediction_1_retrieval_by_layer",
        r"Nearest-neighbour accuracy $A_k$ rises with depth $k$.",
        r"The peak of $A_k$ exceeds every null of “aligned at all?” by at least $m = 0.10$.",
    ),
    "prediction_2_update_agnosticism": (
        "Prediction 2. Updates are more language-agnostic than states",
        "prediction_2_update_agnosticism",
        "$f_k$ is more language-agnostic than $h_k$.",
        r"$\overline{\mathrm{AUC}(f_k) - \mathrm{AUC}(h_k)} > 0.02$ beyond the random twins.",
    ),
    "theorem_2_snr_descent": (
        "Theorem 2. When one layer improves the signal-to-noise ratio",
        "theorem_2_snr_descent",
        r"snr falls at layer $L$ iff $\mathbb{E}\|\delta\|^2/\sigma^2 < r_L$.",
        r"$r$ falls iff $\mathbb{E}\|\delta\|^2 + C_s < r(\sigma^2 + C_d)$.",
    ),
}
RESULTS = {
    # language: as stated, as corrected, estimate, low, high
    "*": ("refuted", "supported", 0.42, 0.33, 0.50),
    "zh": ("supported", "supported", 0.88, 0.74, 0.96),
    "fr": ("supported (association)", "supported", 0.71, 0.58, 0.83),
    "es": ("inconclusive", "inconclusive", 0.13, -0.04, 0.29),
    "sw": ("refuted", "refuted", -0.12, -0.21, -0.02),
    "ru": ("not testable (instrument failed)", "not testable (instrument failed)", None, None, None),
}
OTHER_RESULTS = {
    "*": ("inconclusive", "inconclusive", 0.31, 0.05, 0.55),
    "zh": ("refuted", "inconclusive", 0.17, 0.02, 0.29),
    "de": ("supported", "supported", 0.64, 0.51, 0.79),
}
REASONS = {
    "supported": "95 % interval above the minimal effect, all controls pass",
    "refuted": "95 % interval below the minimal effect; equivalent to none",
    "inconclusive": "95 % interval includes the minimal effect; about 240 items would decide",
    "not testable": "planted signal not found (0.04 [−0.03, 0.11])",
}


def write_ledger(folder: Path) -> Path:
    """One record per claim × model."""
    folder.mkdir(parents=True, exist_ok=True)
    for claim, model in product(CLAIMS, MODELS):
        _write_record(folder / f"{claim}-{model}.json", claim, model, CORPUS, RESULTS)
    return folder


def write_other_corpus(folder: Path) -> Path:
    """Beside those, the first model's predictions on another corpus, with a language of its own."""
    for claim in list(CLAIMS)[:2]:
        _write_record(folder / f"{claim}-other.json", claim, MODELS[0], OTHER_CORPUS, OTHER_RESULTS)
    return folder


def _write_record(path: Path, claim: str, model: str, corpus: str, results: dict) -> None:
    title, notebook, stated, corrected = CLAIMS[claim]
    record = {
        "claim": claim,
        "title": title,
        "notebook": notebook,
        "model": model,
        "corpus": corpus,
        "scope": {"level": "between scenarios", "pooling": "mean", "n_items": 60},
        "provenance": {
            "model_revision": f"pinned revision of {model}",
            "versions": {"numpy": "2.4.1", "torch": "2.13.0", "zspace": "0.1.0"},
            "date": "2031-05-04",
            "library": "0a1b2c3d4e5f",
        },
        "statement": {"as_stated": stated, "as_corrected": corrected},
        "rule": {"statistic": "peak excess", "null": "random twins", "minimal_effect": 0.1},
        "rows": [_row(language, *result) for language, result in results.items()],
    }
    path.write_text(json.dumps(record, ensure_ascii=False), encoding="utf-8")


def _row(language, as_stated, as_corrected, estimate, low, high) -> dict:
    fails = as_corrected.startswith("not")
    twins = [_control(f"random twin {i}", "negative", 0.02 * i, "refuted") for i in range(3)]
    shuffled = _control("shuffled within strata of length × overlap", "negative", 0.01, "refuted")
    planted = _control("planted signal", "positive", 0.5, "supported", passed=not fails)
    return {
        "language": language,
        "as_stated": as_stated,
        "as_stated_reason": REASONS[as_stated.split(" (")[0]],
        "as_corrected": as_corrected,
        "as_corrected_reason": REASONS[as_corrected.split(" (")[0]],
        "statistic": "peak_excess",
        "statistic_kind": None if estimate is None else "interval",
        **{"estimate": estimate, "low": low, "high": high, "minimal_effect": 0.10},
        "p_holm": None if estimate is None else 0.0004 if estimate > 0.5 else 0.04,
        **{"n_items": 60, "n_scenarios": 15, "controls": [*twins, shuffled, planted]},
        "operating": {"null_supported": 0.015, "power": 0.98, "false_refuted": 0.97, "n_simulations": 200},
    }


def _control(name, kind, estimate, verdict, *, passed=True) -> dict:
    limits = {"estimate": estimate, "low": estimate - 0.06, "high": estimate + 0.06}
    found = {"name": name, "kind": kind, "verdict": verdict, "passed": passed}
    return found | {"statistic_kind": "interval"} | limits


def figure() -> go.Figure:
    """Retrieval by layer for three languages with the null as a grey band."""
    layers = list(range(19))
    shown = go.Figure()
    shown.add_scatter(x=layers, y=[0.12] * 19, fill="tozeroy", name="random twins", line={"color": "#bbb"})
    for name, top, colour in (("zh", 0.9, "#0072B2"), ("fr", 0.7, "#D55E00"), ("sw", 0.1, "#009E73")):
        shown.add_scatter(x=layers, y=[top * k / 18 for k in layers], name=name, line={"color": colour})
    shown.update_layout(title="Chinese aligns from layer 12; Swahili never does", template="plotly_white")
    shown.update_layout(xaxis_title="layer", yaxis_title="retrieval accuracy", height=420, width=1600)
    return shown


def notebook(model: str, *extra_cells):
    """An executed notebook with every kind of output that ours have."""
    pictures = {"application/vnd.plotly.v1+json": json.loads(figure().to_json()), "image/png": "iVBORw0KGgo="}
    bar = "capture:  50%|#####     | 3/6 [00:01<00:01,  2.9it/s]"
    progress = nbf.new_output("stream", name="stderr", text=f"{bar}\r{bar}\n")
    cells = [
        nbf.new_markdown_cell("# Prediction 1. Retrieval rises with depth $k$\n\nA *prediction*."),
        nbf.new_markdown_cell(
            "Accuracy is\n\n$$A_k = \\frac{1}{n} \\sum_i [\\hat{y}_i = i]$$\n\nwith $h_k \\in "
            "\\mathbb{R}^d$; a story costs \\$5, code keeps its sign: `$HOME`.\n\n"
            "| symbol | shape |\n|---|---|\n| $\\|h_k\\|$ | $(n, d)$ |\n\n```sh\necho $HOME\n```"
        ),
        _executed(f'model = "{model}"  # a name in models.yaml\nn_items = 60', tags=["parameters"]),
        _executed("states = capture(model)", progress),
        _executed("figure", nbf.new_output("display_data", pictures)),
        _executed("table", nbf.new_output("execute_result", {"text/plain": "verdict: supported 0.61"})),
        _executed("rho", nbf.new_output("display_data", {"text/latex": r"$\displaystyle \sqrt{\rho}$"})),
    ]
    return nbf.new_notebook(cells=cells + list(extra_cells))


def write_notebooks(folder: Path) -> Path:
    """One executed run per notebook × model, in a folder of the model's name."""
    for (_, name, *_), model in product(CLAIMS.values(), MODELS):
        write_notebook(folder / model / f"{name}.ipynb", notebook(model))
    return folder


def write_controls(folder: Path, model: str, corpus: str, languages: str, **others: str) -> Path:
    """An executed run of the notebook of controls, named as a grid names it."""
    values = {"model": model, "corpus": corpus, "languages": languages, **others}
    cells = [
        nbf.new_markdown_cell("# Controls"),
        _executed("\n".join(f"{k} = {v!r}" for k, v in values.items()), tags=["parameters"]),
    ]
    name = "--".join(["controls", *values.values()]).replace("/", "-").replace(",", "-")
    return write_notebook(folder / f"{name}.ipynb", nbf.new_notebook(cells=cells))


def write_notebook(path: Path, nb) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbf.writes(nb), encoding="utf-8")
    return path


def _executed(source: str, *outputs, tags=()):
    return nbf.new_code_cell(source, outputs=list(outputs), execution_count=1, metadata={"tags": list(tags)})
