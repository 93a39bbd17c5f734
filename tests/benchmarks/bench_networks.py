"""Speed of training: all networks of the fast sweep as one stack, against one network after another.

The loop draws examples of the same worlds and takes as many steps; it is written as one would write it
for a single network, with torch's layers, autograd and Adam. A second row loops over stacks of one,
which shows how much of the gain is the written-out gradient and how much the stack. Steps are cut,
which changes no ratio.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from harness import Row, compare, cpu_seconds, median_interval
from torch import nn
from zspace.evidence.blind_sweep import sweep
from zspace.sources.worlds import replicate
from zspace.states import networks
from zspace.states.networks.examples import CHUNK, Examples

SEEDS = range(5)
SIZE = sweep.SIZES["fast"]
SHORT = replace(SIZE.recipe, steps=250)
WORLDS = [sweep.world_of(row, SIZE) for row in sweep.NOTE_ROWS]
RESIDUAL = [row[2] == sweep.RESIDUAL for row in sweep.NOTE_ROWS]
NOTES = {"networks": len(WORLDS) * len(SEEDS), "steps": SHORT.steps}


def rows(pairs: int) -> Iterator[Row]:
    """All comparisons of this file."""
    yield against_modules(pairs)
    yield against_stacks_of_one(pairs)
    yield whole_sweep(pairs)


def stack():
    return networks.train(WORLDS, SEEDS, residual=RESIDUAL, recipe=SHORT)


def against_modules(pairs: int) -> Row:
    def loop_of_modules():
        for world, skip in zip(WORLDS, RESIDUAL, strict=True):
            for seed in SEEDS:
                drawn = replicate(world, seed)
                examples = Examples([drawn], [np.random.default_rng(seed)], SHORT.batch, "cpu")
                net = Net(drawn.dim + drawn.n_languages, drawn.dim, skip)
                optimizer = torch.optim.Adam(net.parameters(), lr=SHORT.learning_rate)
                schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, SHORT.steps)
                for step in range(SHORT.steps):
                    if step % CHUNK == 0:
                        inputs, targets = (part[0] for part in examples.chunk())
                    loss = nn.functional.mse_loss(net(inputs[step % CHUNK]), targets[step % CHUNK])
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()

    what = "loop of single networks (torch modules) / one stack, fast sweep"
    return compare(what, stack, loop_of_modules, at_least=2.5, pairs=pairs, notes=NOTES)


def against_stacks_of_one(pairs: int) -> Row:
    def loop_of_stacks():
        for world, skip in zip(WORLDS, RESIDUAL, strict=True):
            for seed in SEEDS:
                networks.train([world], [seed], residual=skip, recipe=SHORT)

    what = "loop of stacks of one network / one stack, fast sweep"
    return compare(what, stack, loop_of_stacks, at_least=1.2, pairs=pairs, notes=NOTES)


def whole_sweep(pairs: int) -> Row:
    """CPU seconds of five configurations by five seeds at full length."""

    def full():
        networks.train(WORLDS, SEEDS, residual=RESIDUAL, recipe=SIZE.recipe)

    taken = [cpu_seconds(full) for _ in range(pairs)]
    return Row(
        what="CPU seconds of the fast sweep, 5 configurations by 5 seeds",
        sense="at most",
        bound=60,
        ratios=tuple(taken),
        interval=median_interval(np.array(taken)),
        baseline_code="(none: a time)\n",
        notes={**NOTES, "steps": SIZE.recipe.steps},
    )


class Net(nn.Module):
    """The architecture of `networks.stacked` for one network."""

    def __init__(self, n_in: int, n_out: int, skip: bool):
        super().__init__()
        width = SHORT.width
        self.skip, self.first = skip, nn.Linear(n_in, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(SHORT.depth))
        self.last = nn.Linear(width, n_out)

    def forward(self, x):
        state = self.first(x)
        for block in self.blocks:
            added = torch.tanh(block(state))
            state = state + added if self.skip else added
        return self.last(state)
