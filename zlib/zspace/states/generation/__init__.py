# ruff: noqa: F401 (names to be imported from here)
"""What a model writes, and its states while it does.

`traces` samples and reads again, `sampling` is hooked into `generate`, `transcripts` says what a text says,
`recordings` keeps traces with those of all controls in one file, `solving` makes them from worked stories.
`tuning` makes of a model one that solves such stories.
"""

from .traces import replay, traces
