# capture -> notebooks -> summary -> page. Started by `zspace report`; alone or on a cluster:
#     snakemake --profile params/profiles/local --config grid=quick
#     snakemake --profile params/profiles/slurm --config grid=full
# Paths below are relative to the runs folder (ZSPACE_RUNS, or runs/). `code/*` stands for the library and the
# notebooks: such a file changes only when the code it stands for does. A notebook is executed into failed/ (Snakemake
# deletes the outputs of a failed job, and this copy says where it broke off) and moved to notebooks/ once it succeeded.
import re

from zspace import files
from zspace.pages import batch, grids

workdir: str(files.runs_root())

PLAN = grids.plan(config.get("grid", "quick"), models=config.get("models"))
CODE = {name: str(path) for name, path in batch.stamps(PLAN).items()}
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


def capturing(wildcards):
    command = batch.capture_command(CAPTURES[wildcards.key])
    return batch.job_command(f"capture--{wildcards.key}", f"logs/capture--{wildcards.key}.txt", command)


def failed(wildcards):
    return f"failed/{wildcards.cell}.ipynb"


def executing(wildcards):
    command = batch.notebook_command(PLAN.cell(wildcards.cell), failed(wildcards), folder=PLAN.folder)
    return batch.job_command(wildcards.cell, f"logs/{wildcards.cell}.txt", command)


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
        command=batch.job_command("page", "logs/page.txt", batch.page_command()),
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
    output:
        "notebooks/{cell}.ipynb",
    log:
        "logs/{cell}.txt",
    wildcard_constraints:
        cell=any_of(CELLS),
    params:
        command=executing,
        failed=failed,
    shell:
        "mkdir -p failed && {params.command} && mv {params.failed:q} {output:q}"


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
        failed=failed,
    shell:
        "mkdir -p failed && {params.command} && mv {params.failed:q} {output:q}"
