# capture -> notebooks -> summary -> page. Started by `zspace report`; alone or on a cluster:
#     snakemake --profile params/profiles/local --config grid=quick
#     snakemake --profile params/profiles/slurm --config grid=full
# Paths below are relative to the runs folder (ZSPACE_RUNS, or runs/), whose own path may hold any sign. `code/*` stands
# for the library and the notebooks, `read/*` for models and corpora: such a file changes only when the content that it
# stands for does. A notebook is executed into failed/ (Snakemake deletes the outputs of a failed job, and this copy says
# where it broke off) and moved to notebooks/ once it succeeded.
import re

from zspace import files
from zspace.pages import batch, grids

workdir: str(files.runs_root())

PLAN = grids.plan(
    config.get("grid", "quick"), models=config.get("models"), left_out=config.get("left_out", ())
)
CODE, READ = (
    {name: path.relative_to(files.runs_root()).as_posix() for name, path in found.items()}
    for found in (batch.stamps(PLAN), batch.read_stamps(PLAN))
)
CAPTURES = {c.key: c for c in PLAN.captures}
CELLS = {c.key: c for c in PLAN.cells}
SUMMARY = {PLAN.summary.key: PLAN.summary} if PLAN.summary else {}
EXECUTED = [f"notebooks/{key}.ipynb" for key in CELLS]


def any_of(keys):
    """Wildcard constraint: one of these keys and nothing else."""
    return "|".join(map(re.escape, keys)) or "none"


def captures_read(wildcards):
    """Markers of all captures of the cell's model: its own corpus and those its sensitivity cells read."""
    own = CELLS[wildcards.cell].capture
    return [f"states/captured/{c.key}" for c in PLAN.captures if own and c.model == CAPTURES[own].model]


def notebook_code(wildcards):
    """What stands for the library and for the sources of the cell's notebook."""
    return [CODE["evidence"], CODE[f"notebook-{PLAN.cell(wildcards.cell).notebook}"]]


def content(values):
    """What stands for the model, the texts and the recordings that parameters name."""
    return [READ[values[name]] for name in ("model", "corpus", "recorded") if values.get(name) in READ]


def captured_content(wildcards):
    capture = CAPTURES[wildcards.key]
    return content({"model": capture.model, **capture.corpus})


def notebook_content(wildcards):
    return content(CELLS[wildcards.cell].values)


def capturing(wildcards):
    command = batch.capture_command(CAPTURES[wildcards.key])
    return batch.job_command(f"capture--{wildcards.key}", f"logs/capture--{wildcards.key}.txt", command)


def executing(wildcards):
    return batch.job_command(*batch.executing(PLAN.cell(wildcards.cell), folder=PLAN.folder))


def paging(wildcards):
    return batch.job_command("page", "logs/page.txt", batch.page_command())


rule report:
    input:
        EXECUTED,
        [f"notebooks/{key}.ipynb" for key in SUMMARY],
        CODE["pages"],
    output:
        "report/index.html",
    log:
        "logs/page.txt",
    params:
        command=paging,
    shell:
        "{params.command}"


rule notebooks:
    input:
        EXECUTED,


rule captures:
    input:
        [f"states/captured/{key}" for key in CAPTURES],


rule capture:
    input:
        CODE["captures"],
        captured_content,
    output:
        touch("states/captured/{key}"),
    log:
        "logs/capture--{key}.txt",
    wildcard_constraints:
        key=any_of(CAPTURES),
    params:
        command=capturing,
    threads: workflow.cores or 8
    resources:
        mem_mb=16000,
    shell:
        "{params.command}"


rule notebook:
    input:
        captures_read,
        notebook_code,
        notebook_content,
    output:
        "notebooks/{cell}.ipynb",
    log:
        "logs/{cell}.txt",
    wildcard_constraints:
        cell=any_of(CELLS),
    params:
        command=executing,
    shell:
        "{params.command}"


rule summary:
    input:
        EXECUTED,
        notebook_code,
    output:
        "notebooks/{cell}.ipynb",
    log:
        "logs/{cell}.txt",
    wildcard_constraints:
        cell=any_of(SUMMARY),
    params:
        command=executing,
    shell:
        "{params.command}"
