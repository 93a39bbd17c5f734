"""The one progress bar of long work: text on stderr, silent in a batch."""

import sys

import tqdm


def progress_bar(total: int, unit: str, *, shown: bool, **options) -> tqdm.tqdm:
    """A text bar over `total` units; `options` go to tqdm.

    Where a bar is wanted tqdm still obeys TQDM_DISABLE, by which a batch run silences it.
    """
    silent = {} if shown else {"disable": True}
    interval = 0.1 if sys.stderr.isatty() else 10  # seconds; a log needs no line for every batch
    return tqdm.tqdm(total=total, unit=unit, dynamic_ncols=True, mininterval=interval, **silent, **options)
