r"""Volatility clustering of update energies: the multiplicative error model and tests for it.

Symbols: `y` (T,) squared norm of one layer's update at each of T generated tokens of one problem, >= 0, in
any unit; mu_t = omega + garch_alpha y_{t-1} + garch_beta mu_{t-1} its conditional mean, the MEM(1,1), with
y_t = mu_t eps_t, E eps_t = 1; `classes` (T,) token classes; e_t = y_t / (mean of its class) - 1;
z_t(b) = sum_k b^k e_{t-1-k} the weighted past, with decay b. Each problem is one series of its own length:
series are pooled by their statistics, never concatenated.

Sources: Engle (2002), "New Frontiers for ARCH Models", J. Applied Econometrics 17 (MEM and its exponential
quasi-likelihood, equations 7-10); Bollerslev (1986), J. Econometrics 31 (GARCH); Andrews (2001), "Testing
When a Parameter Is on the Boundary of the Maintained Hypothesis", Econometrica 69 (garch_beta is not
identified where garch_alpha is 0); Ljung & Box (1978), Biometrika 65; Engle (1982), Econometrica 50 (LM).
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from arch import arch_model
from scipy.signal import lfilter
from statsmodels.stats.diagnostic import acorr_ljungbox, het_arch

from ...errors import ConvergenceError, MeasureError, ParameterError
from ...measures.paired import group_codes
from ...measures.resampling import stratified_permutations
from ...measures.results import TestResult

MIN_STEPS = 64
DECAYS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95)  # where the score is taken: the last one looks back some 20 tokens
# garch_alpha and garch_beta from which the fit starts, beside arch's own search
_STARTS = ((0.05, 0.9), (0.1, 0.8), (0.2, 0.5), (0.05, 0.5), (0.1, 0.1), (0.3, 0.6))
_CONSTANT = 1e-6  # relative spread below which states in float32 show nothing but rounding


@dataclass(frozen=True)
class MemFit:
    """MEM(1,1) fitted to one series, converged.

    Attributes
    ----------
    omega : in the units of y.
    garch_alpha, garch_beta : dimensionless, >= 0, with sum <= 1.
    loglik : Gaussian log-likelihood of sqrt(y), as arch reports it.
    conditional_mean : (T,) mu_t, in the units of y; mu_1 = omega + (garch_alpha + garch_beta) times the
        weighted mean of the first 75 steps that arch takes as the past.
    alpha_tstat, beta_tstat : over their robust standard errors; that of garch_beta alone is evidence of
        nothing, as `planted.garch_sizes` shows.
    """

    omega: float
    garch_alpha: float
    garch_beta: float
    loglik: float
    conditional_mean: np.ndarray
    alpha_tstat: float
    beta_tstat: float


def fit_mem(y, *, n_starts: int = 5) -> MemFit:
    r"""MEM(1,1) by exponential quasi-likelihood, fitted as a zero-mean Gaussian GARCH(1,1) on sqrt(y).

    The two objectives differ by a constant: with r_t = ±sqrt(y_t),
    :math:`\ell_{Gauss}(r) = -\tfrac12\sum(\log 2\pi + \log\mu_t + y_t/\mu_t)
    = \tfrac12\ell_{exp}(y) - \tfrac T2\log 2\pi`, with :math:`\ell_{exp} = -\sum(\log\mu_t + y_t/\mu_t)`.
    Signs do not enter. (The density of y itself under Gaussian r has :math:`-\tfrac12\sum\log y_t` more,
    which no parameter enters either.) The estimate is consistent whatever the law of the innovations.

    y is divided by its mean for the fit and the parameters are scaled back, so that the unit does not matter.

    Parameters
    ----------
    y : (T,) >= 0, T >= 64.
    n_starts : arch's own starting value and n_starts - 1 fixed ones (7 at most); the best fit is kept.

    Raises
    ------
    MeasureError : y is no such series. ParameterError : `n_starts` is not in 1..7.
    ConvergenceError : no start converged, or one that did not has the highest likelihood.
    """
    y = require_series(y)
    if not 1 <= n_starts <= 1 + len(_STARTS):
        raise ParameterError(f"n_starts is {n_starts}; there are 1 to {1 + len(_STARTS)} starting values.")
    unit = y.mean()
    model = arch_model(np.sqrt(y / unit), mean="Zero", vol="GARCH", p=1, q=1, rescale=False)
    starts = [None, *(np.array([1 - a - b, a, b]) for a, b in _STARTS)][:n_starts]
    best = _best([_fit(model, start) for start in starts])
    # arch stops at 1e-6; its flag at 1e-12 is that of rounding errors and says nothing more
    finer = _step(model, _inside(best.params), ftol=1e-12, maxiter=500)
    best = max(best, finer, key=lambda f: f.loglikelihood)
    omega, garch_alpha, garch_beta = (float(p) for p in best.params)
    return MemFit(
        omega * unit,
        garch_alpha,
        garch_beta,
        float(best.loglikelihood - y.size / 2 * np.log(unit)),
        np.asarray(best.conditional_volatility) ** 2 * unit,
        float(best.tvalues.iloc[1]),
        float(best.tvalues.iloc[2]),
    )


def sup_score_test(y, *, classes=None, n_shuffles: int = 999, rng: np.random.Generator) -> TestResult:
    r"""Clustering of the updates of one problem: supremum of the score of garch_alpha over decays.

    Null hypothesis: within token classes the y_t are exchangeable, so that their order says nothing (MEM
    with garch_alpha = 0 and a mean per class). The statistic is the exponential quasi-score of garch_alpha
    at 0, one-sided, over its standard deviation under the null,

    .. math:: \sup_b \frac{\sum_t e_t z_t(b)}{\hat\sigma_e^2 \sqrt{\sum_{k=0}^{T-2} (T-1-k)\,b^{2k}}},
       \quad b \in \{0, .3, .6, .8, .9, .95\},

    and p comes from shuffling y within classes, which is exact. Two other ways are wrong. Surrogates with
    the spectrum of y (IAAFT) keep its autocorrelations, which are what a MEM(1,1) is about: where there is
    clustering they have it too. The t-statistic of garch_beta tests a parameter that is not identified where
    garch_alpha is 0: it is "significant" in most series without any order (`planted.garch_sizes`).

    Parameters
    ----------
    y : (T,) >= 0, T >= 64. classes : (T,) labels, or None where all steps are of one class.

    Raises
    ------
    MeasureError : y is no such series, classes do not fit, or too fine: fewer than 64 steps
        share theirs with another.
    """
    y = require_series(y)
    statistics = _sup_scores(_shuffled(y, classes, n_shuffles, rng))
    null = "updates of one token class are exchangeable over the steps of a problem"
    return TestResult(float(statistics[0]), _pvalue(statistics), null, n_resamples=n_shuffles)


def momentum(y, *, classes=None, n_shuffles: int = 199, rng: np.random.Generator) -> float:
    r"""How far an update follows the weighted past of its problem: mean correlation minus its null mean.

    The correlation of e_t with z_t(b), averaged over the six decays b, minus its mean over shuffles within
    classes. Dimensionless, within (-1, 1), 0 in expectation where there is no order. The mean over decays
    and not the largest, because a maximum of noise grows as series get shorter. A part of the usual
    small-sample bias of autocorrelations is left: at (.1, .8) the mean is .14, .16 and .17 for T = 128, 256
    and 1024, so compare conditions at equal lengths, and by problem (`measures.resampling.bootstrap` of
    paired differences).

    Parameters and errors as `sup_score_test`.
    """
    y = require_series(y)
    correlations = _mean_correlations(_shuffled(y, classes, n_shuffles, rng))
    return float(correlations[0] - correlations[1:].mean())


def momentum_within(y, sentences, *, classes=None, n_shuffles: int = 199, rng: np.random.Generator) -> float:
    r"""`momentum` that levels of sentences leave: what they explain is taken out, and shuffles keep it out.

    A series whose level shifts from sentence to sentence follows its past without any momentum. Here e_t is
    taken about its mean in its sentence, and steps are shuffled within sentence and class, so that both sides
    have the same (negative) bias of short sentences. Simulated with some 140 steps in sentences of 7 to 19:
    levels of sentences (log sd .7) 0 (`momentum` .20), a trend 0 (.18), one shift by a factor of 3.3 at any
    step .02 (.22), MEM (.2, .7) .09 (.23), MEM (.3, .3) .16 (.21): of persistence of a dozen steps it keeps
    two fifths, of shorter one more.

    Parameters
    ----------
    sentences : (T,) labels. Others and errors as `momentum`, but 32 steps that can be exchanged are enough.
    """
    y = require_series(y)
    _require_shuffles(n_shuffles)
    if np.shape(sentences) != y.shape:
        raise MeasureError(f"sentences have shape {np.shape(sentences)}, expected {y.shape}, one per step.")
    sentence = group_codes(sentences, y.size)
    codes = np.zeros(y.size, int) if classes is None else _class_codes(y, classes, "y")
    e = _about_class_means(y, codes)
    e = e - (np.bincount(sentence, e) / np.bincount(sentence))[sentence]
    cells = sentence * (codes.max() + 1) + codes
    correlations = _mean_correlations(_reordered(e, cells, n_shuffles, rng, "y", least=MIN_STEPS // 2))
    return float(correlations[0] - correlations[1:].mean())


def pooled_test(
    series: Sequence, *, classes: Sequence | None = None, n_shuffles: int = 999, rng: np.random.Generator
) -> TestResult:
    """Clustering in many problems: the mean of their sup-score statistics against shuffles inside each.

    Null hypothesis: within every problem and token class the updates are exchangeable; scales, lengths and
    laws may differ between problems. A test of the concatenated series would take differences of scale
    between problems for clustering, and reject always.

    Parameters
    ----------
    series : list of (T_i,), as for `sup_score_test`. classes : list of (T_i,) labels, or None.

    Raises
    ------
    MeasureError : as `sup_score_test`, with the number of the series; no series; lists of different lengths.
    """
    if len(series) == 0 or (classes is not None and len(classes) != len(series)):
        labels = "no classes" if classes is None else f"{len(classes)} lists of classes"
        raise MeasureError(f"found {len(series)} series and {labels}; give at least one, with classes each.")
    total = np.zeros(1 + n_shuffles)
    for i, y in enumerate(series):
        labels = None if classes is None else classes[i]
        y = require_series(y, f"series {i}")
        total += _sup_scores(_shuffled(y, labels, n_shuffles, rng, f"series {i}"))
    null = "within each problem, updates of one token class are exchangeable over steps"
    return TestResult(float(total[0] / len(series)), _pvalue(total), null, n_resamples=n_shuffles)


def ljung_box_test(y, *, lags: int = 10) -> TestResult:
    """Ljung-Box test on y itself. Null hypothesis: y_t is uncorrelated with its last `lags` values.

    Asymptotic chi-squared with `lags` degrees of freedom; token classes that follow one another in a regular
    way are correlation to it. Errors as `require_series`, and ParameterError for the lags.
    """
    y = require_series(y)
    _require_lags(lags, y.size)
    table = acorr_ljungbox(y, lags=[lags])
    statistic, pvalue = map(float, table.iloc[0])
    return TestResult(statistic, pvalue, f"y is uncorrelated up to lag {lags}")


def arch_lm_test(y, *, lags: int = 10) -> TestResult:
    """Engle's LM test: T R^2 of the regression of y_t on a constant and its last `lags` values.

    Null hypothesis: the lagged values have coefficient 0; asymptotic chi-squared. statsmodels' `het_arch`
    squares its input, hence sqrt(y), whose sign does not matter; given y itself it would test y^2.
    """
    y = require_series(y)
    _require_lags(lags, y.size)
    with warnings.catch_warnings():  # statsmodels 0.15 announces another type of the result in its own call
        warnings.filterwarnings("ignore", "acorr_lm currently returns", FutureWarning)
        statistic, pvalue = het_arch(np.sqrt(y), nlags=lags)[:2]
    null = f"y does not depend linearly on its last {lags} values"
    return TestResult(float(statistic), float(pvalue), null)


def require_series(y, name: str = "y") -> np.ndarray:
    """The series as (T,) float64, or a MeasureError that says what is wrong with it.

    Zeros are values of a MEM and stay; a series that ends in two or more is taken for a padded one.
    """
    y = np.asarray(y, np.float64)
    if y.ndim != 1 or y.size < MIN_STEPS:
        raise MeasureError(
            f"{name} has shape {y.shape}; expected (T,) with T >= {MIN_STEPS} generation steps of one "
            "problem. Leave shorter problems out; pool several with pooled_test, never by concatenation."
        )
    wrong = ~np.isfinite(y) | (y < 0)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise MeasureError(f"{name} is {y[first]} at step {first}; squared norms are finite and >= 0.")
    if not y[-2:].any():
        raise MeasureError(f"{name} ends in zeros, as padded series do; cut it at the last generated token.")
    if y.std() <= _CONSTANT * y.mean():
        raise MeasureError(
            f"{name} is constant to rounding (deviation over mean {y.std() / y.mean():.1e}): there is "
            "nothing to cluster. Does the text repeat one token?"
        )
    return y


def _fit(model, start):
    fit = _step(model, start)
    # SLSQP may stop with a flag at a bound; from just inside it usually reaches the optimum
    return fit if fit.convergence_flag == 0 else _step(model, _inside(fit.params))


def _step(model, start, **options):
    return model.fit(starting_values=start, disp="off", show_warning=False, options=options)


def _inside(parameters) -> np.ndarray:
    """The parameters, moved off the bounds of a mean of 1, where arch would refuse to start."""
    omega, garch_alpha, garch_beta = np.maximum(parameters, 1e-6)
    excess = max(1.0, (garch_alpha + garch_beta) / (1 - 1e-6))
    return np.array([omega, garch_alpha / excess, garch_beta / excess])


def _best(fits: list):
    converged = [f for f in fits if f.convergence_flag == 0 and np.isfinite(f.loglikelihood)]
    highest = max((f.loglikelihood for f in fits if np.isfinite(f.loglikelihood)), default=-np.inf)
    best = max(converged, key=lambda f: f.loglikelihood, default=None)
    if best is None or best.loglikelihood < highest - 1e-4:
        which = "" if best is None else ", among them the one with the highest likelihood"
        raise ConvergenceError(
            f"{len(fits) - len(converged)} of {len(fits)} fits of the MEM did not converge{which}: a series "
            f"that explodes or drifts has no such model. Try up to {1 + len(_STARTS)} starts; the tests by "
            "shuffling need no fit."
        )
    return best


def _shuffled(y, classes, n_shuffles: int, rng: np.random.Generator, name: str = "y") -> np.ndarray:
    """e of y, first as it is and then shuffled within classes: (1 + n_shuffles, T)."""
    _require_shuffles(n_shuffles)
    if classes is None:
        e = y / y.mean() - 1
        return np.vstack([e, rng.permuted(np.broadcast_to(e, (n_shuffles, e.size)), axis=1)])
    codes = _class_codes(y, classes, name)
    return _reordered(_about_class_means(y, codes), codes, n_shuffles, rng, name)


def _require_shuffles(n_shuffles: int):
    if n_shuffles < 19:
        raise ParameterError(f"n_shuffles is {n_shuffles}; below 19 no p-value can reach .05.")


def _class_codes(y: np.ndarray, classes, name: str) -> np.ndarray:
    classes = np.asarray(classes)
    if classes.shape != y.shape:
        raise MeasureError(f"classes of {name} have shape {classes.shape}, expected {y.shape}, one per step.")
    return group_codes(classes, y.size)


def _about_class_means(y: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """y over the mean of its class, minus 1; 0 in a class of zeros."""
    means = np.bincount(codes, y) / np.bincount(codes)
    return y / np.where(means > 0, means, 1.0)[codes] - (means > 0)[codes]


def _reordered(
    e: np.ndarray, cells: np.ndarray, n_shuffles: int, rng: np.random.Generator, name: str, least=MIN_STEPS
) -> np.ndarray:
    """e as it is and shuffled within cells: (1 + n_shuffles, T)."""
    counts = np.bincount(cells)
    movable = int(counts[counts > 1].sum())
    if movable < least or e.std() <= _CONSTANT:
        raise MeasureError(
            f"within its {np.count_nonzero(counts)} classes {name} has {movable} steps that can be "
            f"exchanged, with deviation {e.std():.1e} of the class mean; expected {least} that vary. Use "
            "coarser classes."
        )
    with warnings.catch_warnings():  # steps alone in their class were counted above
        warnings.filterwarnings("ignore", "\\d+ of \\d+ items are alone", UserWarning)
        orders = stratified_permutations(cells, n_shuffles=n_shuffles, rng=rng)
    return np.vstack([e, e[orders]])


def _weighted_past(e: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """Each decay b and z_2..z_T: (..., T - 1), the steps before the first taken at their mean."""
    for decay in DECAYS:
        yield decay, lfilter([1.0], [1.0, -decay], e[..., :-1], axis=-1)


def _sup_scores(e: np.ndarray) -> np.ndarray:
    steps = e.shape[-1]
    ahead = np.arange(steps - 1, 0, -1)
    scores = [
        np.einsum("...t,...t", e[..., 1:], z) / np.sqrt((ahead * decay ** (2.0 * np.arange(steps - 1))).sum())
        for decay, z in _weighted_past(e)
    ]
    return np.max(scores, axis=0) / e[0].var()


def _mean_correlations(e: np.ndarray) -> np.ndarray:
    now = _standard(e[..., 1:])
    return np.mean([np.einsum("...t,...t", now, _standard(z)) for _, z in _weighted_past(e)], axis=0)


def _standard(x: np.ndarray) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _pvalue(statistics: np.ndarray) -> float:
    return float((1 + (statistics[1:] >= statistics[0] - 1e-12).sum()) / statistics.size)


def _require_lags(lags: int, steps: int):
    if not 1 <= lags <= steps // 4:
        raise ParameterError(f"lags is {lags}; expected 1 to {steps // 4} for {steps} steps.")
