"""Exceptions and warnings of zspace.

Every message says what was found, what was expected and what to do about it.
"""

LONGEST = 2000  # signs of a message


class ZspaceError(Exception):
    """Base of all errors that zspace raises on purpose; what a message quotes may be of any length."""

    def __str__(self) -> str:
        message = super().__str__()
        half = LONGEST // 2
        return message if len(message) <= LONGEST else f"{message[:half]} … {message[-half:]}"


class CorpusError(ZspaceError, ValueError):
    """A corpus is unknown, misaligned or malformed; names the file and the row."""


class ModelError(ZspaceError, ValueError):
    """A language model is unknown or fails a check made when it is loaded."""


class WeightsUnavailableError(ModelError):
    """The weights of a known model cannot be reached from here."""


class StoreError(ZspaceError, RuntimeError):
    """Saved states are missing, foreign or cannot be written."""


class AbsentStatesError(StoreError):
    """States that nobody saved and that cannot be captured."""


class ClaimError(ZspaceError, ValueError):
    """A claim, its rule or the evidence for it is incomplete or inconsistent."""


class ParameterError(ZspaceError, ValueError):
    """A parameter is unknown or has a value that nothing can be computed from."""


class MeasureError(ZspaceError, ValueError):
    """Numbers that a measure or a test is undefined for: too few, constant, not finite, of unlike shapes."""


class UnmetNeedsError(ParameterError):
    """Texts, languages or a model lack what a claim needs to be judged."""


class ConvergenceError(ZspaceError, RuntimeError):
    """An iteration did not reach what was asked of it."""


class AmbiguousStatesWarning(UserWarning):
    """Nothing in imported states tells which axis is which."""


class UndefinedAgreementWarning(UserWarning):
    """The agreement ratio of a direction that no language uses is undefined (NaN)."""
