"""Commands that make what notebooks read instead of computing it: trained networks, recorded generations."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ParameterError

TRACES = "notebooks/data/generation_traces.npz"


def sweep(
    part: Annotated[list[str] | None, typer.Option(help="E.g. noise (repeatable); all by default.")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
    workers: Annotated[int, typer.Option(min=1, help="Processes that measure.")] = 1,
    seed: Annotated[int, typer.Option(help="Root seed of the items measured on.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder; by default that of the committed parts.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the trained networks, and read those kept.")] = False,
) -> None:
    """Train and measure the parts of the blind sweep that notebooks read instead of training them."""
    from ..evidence.blind_sweep import grid

    names = list(dict.fromkeys(part or grid.PARTS))
    unknown = [name for name in names if name not in grid.PARTS]
    if unknown:
        raise ParameterError(f"the sweep has no part {', '.join(unknown)}. It has: {', '.join(grid.PARTS)}.")
    for name in names:
        options = {"keep": keep, "device": device, "workers": workers, "progress": True}
        grid.run(name, seed=seed, folder=out, **options)
        typer.echo(f"{name}: written to {out or grid.FOLDER}")


def traces(
    model: Annotated[str, typer.Argument(help="Name of models.yaml, hub id or folder.")] = "gemma-3-270m",
    languages: Annotated[str, typer.Option(help="Comma-separated codes.")] = "de,fr,ru,sw,te",
    out: Annotated[Path, typer.Option(help="File to write.")] = Path(TRACES),
    layers: Annotated[str, typer.Option(help="Blocks that the file keeps, comma-separated.")] = "3,6,9,12,15",
    difficulty: Annotated[int, typer.Option(min=1, max=5, help="Steps of a story.")] = 5,
    n_draws: Annotated[int, typer.Option(min=1, help="Stories a scenario.")] = 2,
    n_samples: Annotated[int, typer.Option(min=1, help="Solutions a story.")] = 1,
    n_kept: Annotated[int, typer.Option(min=1, help="Solutions a language that are kept.")] = 36,
    n_steps: Annotated[int, typer.Option(min=64, help="Longest solution, in tokens.")] = 200,
    temperature: Annotated[float, typer.Option(help="Of the sampling.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Root seed.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")] = "cpu",
) -> None:
    """Let a model write solutions of stories, and record every layer at every token, with controls."""
    from ..states.generation import recordings, solving

    codes = [code.strip() for code in languages.split(",") if code.strip()]
    options = {"difficulty": difficulty, "n_draws": n_draws, "n_samples": n_samples, "n_kept": n_kept}
    options |= {"n_steps": n_steps, "temperature": temperature, "seed": seed, "device": device}
    found = solving.ensure(model, codes, **options)
    blocks = _blocks(layers, found.layers.tolist())
    recordings.save(recordings.select(found, layers=blocks), out)
    kept = found.series[found.series["condition"] == "reasoning"]
    right = int(found.outcomes["correct"].sum())
    typer.echo(f"{len(found.outcomes)} solutions written, {right} correct, {len(kept)} kept: {out}")


def _blocks(text: str, there: list[int]) -> list[int]:
    try:
        blocks = [int(word) for word in text.split(",")]
    except ValueError:
        blocks = []
    if not blocks or any(block not in there for block in blocks):
        raise ParameterError(f"layers {text!r}; expected some of {', '.join(map(str, there))}, with commas.")
    return blocks
