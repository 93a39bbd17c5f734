"""Bayes bounds of a world: how well the language of one input, and its target, can be told by anything.

With pi_l(x) the posterior of the language and m_l(x) = E[g_l(z) | x, l], the best classifier is right with
probability E max_l pi_l(x), and the best predictor is m(x) = sum_l pi_l(x) m_l(x). Gaussian problems have
Gaussian inputs, so that pi is a quadratic discriminant and z given x and l is Gaussian; then nothing but the
means over x, and over z given x, is Monte Carlo. Blind rotations of Gaussian problems all look alike: pi is
the share. Other problems give their language away by their shape.

Bounds are on *share-weighted* numbers only: in one language a network may do better than the Bayes predictor,
which serves them all.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_ndtr, logsumexp

from .world import World

_IMPOSSIBLE = 1e-12  # posterior of a language below which its problems are not drawn
_MAX_SIGN_DIM = 16  # 2^d corners are added up
_N_SHAPE_DRAWS = 256  # of z given x, for the density of Laplace problems behind ill-conditioned maps


@dataclass(frozen=True)
class TaskBound:
    """Largest share-weighted R^2 that anything can reach, with the standard error of its Monte Carlo mean.

    For problems that are not Gaussian it is the bound without noise, which is above the one with noise.
    """

    r2: float
    standard_error: float


def language_posterior(world: World, inputs, *, rng: np.random.Generator | None = None) -> np.ndarray:
    """Probability (n, K) of each language given an input (n, d or d + K).

    Exact but for Laplace problems behind maps that are not rotations, where the density of an input is a
    mean over 256 draws from `rng`.

    Raises
    ------
    ValueError : inputs of another width; sign problems of more than 16 dimensions behind maps that are not
        rotations; an `rng` is needed and absent.
    """
    inputs = np.asarray(inputs, float)
    if inputs.ndim != 2 or inputs.shape[1] != world.input_dim:
        raise ValueError(f"inputs have shape {inputs.shape}; this world's are (n, {world.input_dim}).")
    if world.flag:
        return np.eye(world.n_languages)[inputs[:, world.dim :].argmax(1)]
    density = np.stack([_log_density(world, inputs, k, rng) for k in range(world.n_languages)], axis=1)
    joint = density + np.log(world.share)
    return np.exp(joint - logsumexp(joint, axis=1, keepdims=True))


def bayes_language_accuracy(world: World, *, rng: np.random.Generator, n: int = 20_000) -> float:
    """Accuracy of the best classifier of the language of one input, languages drawn by their shares.

    Mean over `n` inputs of the largest posterior; its standard error is at most .5 / sqrt(n). Errors as
    `language_posterior`.

    Examples
    --------
    >>> blind = World(16, (0.4, 0.3, 0.3))
    >>> round(bayes_language_accuracy(blind, rng=np.random.default_rng(0)), 3)
    0.4
    """
    draw, shape = rng.spawn(2)
    parts = np.array_split(world.sample_mixture(n, rng=draw).inputs, -(-n // 500))
    return float(np.concatenate([language_posterior(world, p, rng=shape) for p in parts]).max(1).mean())


def bayes_predictions(
    world: World, inputs, *, rng: np.random.Generator, n_draws: int = 16
) -> tuple[np.ndarray, np.ndarray]:
    """Two independent Monte Carlo estimates (n, d) of the best prediction m(x) of the target.

    Gaussian problems. Products of the two have no bias from the `n_draws` draws of z given x behind each;
    draws come in pairs.

    Raises
    ------
    ValueError : the world's problems are not Gaussian, inputs of another width, less than two draws.
    """
    if world.latent != "gaussian":
        raise ValueError(f"latent={world.latent!r}; z given x is known in closed form for 'gaussian' only.")
    if n_draws < 2:
        raise ValueError(f"n_draws={n_draws}; draws come in pairs, expected at least 2.")
    posterior = language_posterior(world, inputs)
    shown = np.asarray(inputs, float)[:, : world.dim]
    return tuple(_prediction(world, shown, posterior, stream, n_draws) for stream in rng.spawn(2))


def bayes_task_r2(world: World, *, rng: np.random.Generator, n: int = 20_000, n_draws: int = 16) -> TaskBound:
    """Largest share-weighted R^2 = 1 - E|y - m(x)|^2 / E|y - E y|^2 of any predictor, from `n` inputs."""
    if world.latent != "gaussian":
        return _noiseless_bound(replace(world, noise=0.0), rng, n)
    draw, inner = rng.spawn(2)
    found = world.sample_mixture(n, rng=draw)
    one, other = bayes_predictions(world, found.inputs, rng=inner, n_draws=n_draws)
    return _bound(((found.targets - one) * (found.targets - other)).sum(1), found.targets)


def _bound(errors: np.ndarray, targets: np.ndarray) -> TaskBound:
    """1 minus a ratio of means, with its standard error by the delta method."""
    spread = ((targets - targets.mean(0)) ** 2).sum(1)
    ratio = errors.mean() / spread.mean()
    residual = (errors - ratio * spread) / spread.mean()
    return TaskBound(float(1 - ratio), float(residual.std(ddof=1) / np.sqrt(len(errors))))


def _noiseless_bound(world: World, rng: np.random.Generator, n: int) -> TaskBound:
    found = world.sample_mixture(n, rng=rng)
    posterior = language_posterior(world, found.inputs)
    prediction = np.zeros_like(found.targets)
    for k in range(world.n_languages):
        latents = np.linalg.solve(world.parts.transforms[k], _centred(world, found.inputs, k).T).T
        prediction += posterior[:, k, None] * world.solve(latents, k)
    return _bound(((found.targets - prediction) ** 2).sum(1), found.targets)


def _prediction(world: World, shown, posterior, rng: np.random.Generator, n_draws: int) -> np.ndarray:
    total = np.zeros((len(shown), world.dim))
    for k in range(world.n_languages):
        transform = world.parts.transforms[k]
        gain = np.linalg.solve(_covariance(world, k), transform).T
        possible = posterior[:, k] > _IMPOSSIBLE
        mean = (shown[possible] - world.parts.centroids[k]) @ gain.T
        spread = _root(np.eye(world.dim) - gain @ transform)
        draws = np.zeros_like(mean)
        for _ in range(n_draws // 2):
            step = rng.standard_normal(shown.shape)[possible] @ spread.T
            # both signs: the linear part of g then has no Monte Carlo error at all
            draws += world.solve(mean + step, k) + world.solve(mean - step, k)
        total[possible] += posterior[possible, k, None] * draws / (2 * (n_draws // 2))
    return total


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0))  # zero up to rounding where there is no noise


def _covariance(world: World, language: int) -> np.ndarray:
    transform = world.parts.transforms[language]
    return transform @ transform.T + world.noise**2 * np.eye(world.dim)


def _centred(world: World, inputs, language: int) -> np.ndarray:
    return inputs[:, : world.dim] - world.parts.centroids[language]


def _log_density(world: World, inputs, language: int, rng) -> np.ndarray:
    """Log density (n,) of inputs in a language, up to a constant that all languages share."""
    shifted = _centred(world, inputs, language)
    transform = world.parts.transforms[language]
    if world.latent == "gaussian":
        factor = cho_factor(_covariance(world, language), lower=True)
        distance = (shifted.T * cho_solve(factor, shifted.T)).sum(0)
        return -distance / 2 - np.log(np.diag(factor[0])).sum()
    latents = np.linalg.solve(transform, shifted.T).T
    volume = np.linalg.slogdet(transform)[1]
    if world.transform == "orthogonal" or world.noise == 0:
        return _SHAPES[world.latent](latents, world.noise) - volume
    return _CORNERS_OR_MEANS[world.latent](world, transform, shifted, latents, rng) - volume


def _sign_shape(latents: np.ndarray, noise: float) -> np.ndarray:
    """Log density of signs plus noise; without noise, of signs at all."""
    if noise == 0:
        return np.where(np.abs(np.abs(latents) - 1).max(1) < 1e-6, 0.0, -1e300)
    away = [-((latents - s) ** 2) / (2 * noise**2) for s in (-1, 1)]
    return np.logaddexp(*away).sum(1)


def _laplace_shape(latents: np.ndarray, noise: float) -> np.ndarray:
    """Log density of Laplace numbers of unit variance plus Gaussian noise."""
    size = np.abs(latents)
    if noise == 0:
        return -np.sqrt(2) * size.sum(1)
    rate = np.sqrt(2)
    towards = -rate * size + log_ndtr(size / noise - rate * noise)
    beyond = rate * size + log_ndtr(-size / noise - rate * noise)
    return np.logaddexp(towards, beyond).sum(1)


def _sign_corners(world: World, transform, shifted, latents, rng) -> np.ndarray:
    """Log of the sum over all 2^d sign vectors of the noise's density; `volume` is not part of it."""
    if world.dim > _MAX_SIGN_DIM:
        raise ValueError(
            f"sign problems of {world.dim} dimensions behind {world.transform} transforms have "
            f"2^{world.dim} corners; at most {_MAX_SIGN_DIM} dimensions, or rotations, or noise=0."
        )
    bits = np.arange(2**world.dim)[:, None] >> np.arange(world.dim) & 1
    corners = (2.0 * bits - 1) @ transform.T
    scores = shifted @ corners.T - (corners**2).sum(1) / 2
    total = logsumexp(scores / world.noise**2, axis=1) - (shifted**2).sum(1) / (2 * world.noise**2)
    return total + np.linalg.slogdet(transform)[1]


def _laplace_mean(world: World, transform, shifted, latents, rng) -> np.ndarray:
    """Log of the mean density of z under what x alone says of it, N(T^-1 (x - c), noise^2 (T'T)^-1)."""
    if rng is None:
        raise ValueError(
            "Laplace problems behind such maps need an rng: their density is a Monte Carlo mean."
        )
    spread = world.noise * np.linalg.inv(transform)
    draws = (latents + rng.standard_normal(latents.shape) @ spread.T for _ in range(_N_SHAPE_DRAWS))
    found = np.stack([-np.sqrt(2) * np.abs(z).sum(1) for z in draws])
    return logsumexp(found, axis=0) - np.log(_N_SHAPE_DRAWS)


_SHAPES = {"sign": _sign_shape, "laplace": _laplace_shape}
_CORNERS_OR_MEANS = {"sign": _sign_corners, "laplace": _laplace_mean}
