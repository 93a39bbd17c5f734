"""A world: latent problems z, and K languages that show them as x_l = T_l z + c_l + noise.

Symbols: `z` (d,) a problem, of unit variance in every coordinate; T_l (d, d) the transform of language l, c_l
(d,) its centroid, share_l the probability that a training example is in it; K languages. The flag is a
one-hot code of the language, appended to x. The target is a random two-layer map g(z) = B tanh(A z). Of the d
coordinates, the first `shared_dim` are the same in all translations of an item; the others are each
language's own. One seed fixes transforms, centroids and target; items are drawn with a generator of the
caller's. Everything is dimensionless.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from scipy.stats import ortho_group

LATENTS = ("gaussian", "sign", "laplace")
TRANSFORMS = ("orthogonal", "invertible", "near_identity")
TARGETS = ("shared", "private", "linear")
CENTROID, FLAG = 0.8, 2.0  # what `centroid=True` and `flag=True` stand for


@dataclass(frozen=True)
class Parts:
    """What the seed of a world fixes.

    transforms : (K, d, d) T_l.  centroids : (K, d) c_l, zero without centroids.
    first, second : (K, h, d) A and (K, d, h) B of the target, the same for all languages unless private;
        None for the linear target.
    """

    transforms: np.ndarray
    centroids: np.ndarray
    first: np.ndarray | None
    second: np.ndarray | None


@dataclass(frozen=True)
class Items:
    """n parallel items: row i is the same problem in all K languages.

    latents : (K, n, d), equal over languages in the shared coordinates.
    inputs : (K, n, d) or, with a flag, (K, n, d + K).  targets : (K, n, d).
    """

    latents: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class Mixture:
    """n items, each in one language drawn by its share, as in training.

    language : (n,) index.  latents : (n, d).  inputs : (n, d) or (n, d + K).  targets : (n, d).
    """

    language: np.ndarray
    latents: np.ndarray
    inputs: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class World:
    """A world of K languages.

    Parameters
    ----------
    dim : d, coordinates of a problem, of an input without its flag, and of a target.
    share : (K,) positive weights of the languages; divided by their sum.
    shared_dim : number of coordinates that translations share; None takes all.
    latent : distribution of a coordinate: "gaussian", "sign" (-1 or 1), "laplace"; unit variance.
    transform : "orthogonal", Haar rotations; "invertible", Q diag(s) R with Haar Q and R; "near_identity",
        R' diag(s) R, which a condition number of 1 makes the identity.
    condition_number : kappa of every T_l: s is log-uniform from its least to kappa times that, rms(s) = 1.
    centroid : norm of c_l in units of sqrt(d), in a random direction; True takes .8.
    flag : size of the one-hot code appended to the input; 0 or False appends none, True takes 2.
    noise : standard deviation of what is added to T_l z + c_l.
    target : "shared", one random two-layer tanh map for all languages; "private", one of its own for each;
        "linear", the problem z itself.
    seed : root of transforms, centroids and target.

    Raises
    ------
    ValueError : a parameter out of its range, with the range.

    Examples
    --------
    >>> world = World(4, (0.5, 0.5), transform="invertible", condition_number=6, flag=True)
    >>> world.sample(10, rng=np.random.default_rng(0)).inputs.shape
    (2, 10, 6)
    """

    dim: int
    share: Sequence[float]
    shared_dim: int | None = None
    latent: str = "gaussian"
    transform: str = "orthogonal"
    condition_number: float = 1.0
    centroid: float = 0.0
    flag: float = 0.0
    noise: float = 0.1
    target: str = "shared"
    seed: int = 0

    def __post_init__(self):
        _require_choices(self)
        share = np.asarray(self.share, float)
        if share.ndim != 1 or not share.size or not (np.isfinite(share).all() and (share > 0).all()):
            raise ValueError(f"share is {self.share}; expected a positive weight for every language.")
        shared = self.dim if self.shared_dim is None else self.shared_dim
        if self.dim < 1 or not 0 <= shared <= self.dim:
            raise ValueError(
                f"dim={self.dim}, shared_dim={shared}; expected 0 <= shared_dim <= dim, dim >= 1."
            )
        if self.seed < 0 or any(n != int(n) for n in (self.dim, shared, self.seed)):
            raise ValueError(
                f"dim={self.dim}, shared_dim={shared}, seed={self.seed}; expected whole "
                "numbers, the seed not negative."
            )
        if self.condition_number < 1 or (self.transform == "orthogonal" and self.condition_number != 1):
            raise ValueError(
                f"condition_number={self.condition_number:g} with {self.transform} transforms; expected at "
                "least 1, and 1 for orthogonal ones: take transform='invertible' for others."
            )
        if min(self.centroid, self.flag, self.noise) < 0:
            raise ValueError(
                f"centroid={self.centroid}, flag={self.flag}, noise={self.noise}; none can be negative."
            )
        total = share.sum()
        # a world made of another's parameters is the same world: divided again, its shares would not be
        share = share if abs(total - 1) < 1e-12 else share / total
        settled = {
            "dim": int(self.dim),
            "share": tuple(share.tolist()),
            "shared_dim": None if self.shared_dim is None else int(shared),
            "condition_number": float(self.condition_number),
            "centroid": _size(self.centroid, CENTROID),
            "flag": _size(self.flag, FLAG),
            "noise": float(self.noise),
            "seed": int(self.seed),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)  # frozen from here on

    @property
    def n_languages(self) -> int:
        return len(self.share)

    @property
    def n_shared(self) -> int:
        """Coordinates that translations share."""
        return self.dim if self.shared_dim is None else self.shared_dim

    @property
    def input_dim(self) -> int:
        """Coordinates of an input, its flag included."""
        return self.dim + (self.n_languages if self.flag else 0)

    @cached_property
    def parts(self) -> Parts:
        """Transforms, centroids and target maps, drawn from the seed."""
        turns, offsets, maps = np.random.SeedSequence(self.seed).spawn(3)
        transforms = [self._transform(np.random.default_rng(s)) for s in turns.spawn(self.n_languages)]
        streams = [np.random.default_rng(s) for s in offsets.spawn(self.n_languages)]
        directions = [stream.standard_normal(self.dim) for stream in streams]
        norm = self.centroid * np.sqrt(self.dim)
        centroids = np.stack([norm * v / np.linalg.norm(v) for v in directions])
        first, second = self._target(maps)
        return Parts(np.stack(transforms), centroids, first, second)

    def draw_latents(self, n: int, *, rng: np.random.Generator) -> np.ndarray:
        """(K, n, d) latents of n parallel items."""
        shared = _draw(self.latent, (n, self.n_shared), rng)
        own = _draw(self.latent, (self.n_languages, n, self.dim - self.n_shared), rng)
        return np.concatenate([np.broadcast_to(shared, (self.n_languages, *shared.shape)), own], axis=-1)

    def show(self, latents, language, noise) -> np.ndarray:
        """Inputs (n, d or d + K) of latents (n, d) in languages (n,), given noise (n, d) of unit variance."""
        language = np.asarray(language)
        inputs = np.einsum("nij,nj->ni", self.parts.transforms[language], latents)
        inputs += self.parts.centroids[language] + self.noise * noise
        if not self.flag:
            return inputs
        return np.concatenate([inputs, self.flag * np.eye(self.n_languages)[language]], axis=1)

    def solve(self, latents, language: int) -> np.ndarray:
        """Targets (..., d) of latents (..., d) that are shown in one language."""
        if self.target == "linear":
            return np.array(latents, float)
        return np.tanh(latents @ self.parts.first[language].T) @ self.parts.second[language].T

    def sample(self, n: int, *, rng: np.random.Generator) -> Items:
        """n items, each shown in all languages, with noise of its own in each."""
        latents = self.draw_latents(n, rng=rng)
        noise = rng.standard_normal(latents.shape)
        languages = range(self.n_languages)
        inputs = np.stack([self.show(latents[k], np.full(n, k), noise[k]) for k in languages])
        return Items(latents, inputs, np.stack([self.solve(latents[k], k) for k in languages]))

    def sample_mixture(self, n: int, *, rng: np.random.Generator) -> Mixture:
        """n items, each shown in one language that is drawn by the shares."""
        language = rng.choice(self.n_languages, n, p=self.share)
        latents = _draw(self.latent, (n, self.dim), rng)
        inputs = self.show(latents, language, rng.standard_normal(latents.shape))
        targets = np.empty_like(latents)
        for k in range(self.n_languages):
            targets[language == k] = self.solve(latents[language == k], k)
        return Mixture(language, latents, inputs, targets)

    def _transform(self, rng: np.random.Generator) -> np.ndarray:
        # dim 1 has no Haar rotation in scipy; its only transforms are signs
        right = ortho_group.rvs(self.dim, random_state=rng) if self.dim > 1 else np.ones((1, 1))
        if self.transform == "orthogonal":
            return right
        sizes = np.geomspace(1, self.condition_number, self.dim)
        sizes /= np.sqrt((sizes**2).mean())
        if self.transform == "near_identity":
            return right.T * sizes @ right
        left = ortho_group.rvs(self.dim, random_state=rng) if self.dim > 1 else np.ones((1, 1))
        return left * sizes @ right

    def _target(self, seeds: np.random.SeedSequence) -> tuple[np.ndarray | None, np.ndarray | None]:
        if self.target == "linear":
            return None, None
        hidden = 2 * self.dim
        streams = [np.random.default_rng(s) for s in seeds.spawn(self.n_languages)]
        first = np.stack([1 / np.sqrt(self.dim) * r.standard_normal((hidden, self.dim)) for r in streams])
        second = np.stack([1 / np.sqrt(hidden) * r.standard_normal((self.dim, hidden)) for r in streams])
        if self.target == "shared":
            first[:], second[:] = first[0], second[0]
        return first, second


def replicate(world: World, seed: int) -> World:
    """The world drawn anew: same kind, its transforms, centroids and target from (its seed, `seed`)."""
    root = int(np.random.SeedSequence([world.seed, seed]).generate_state(1)[0])
    return replace(world, seed=root)


def _draw(latent: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if latent == "gaussian":
        return rng.standard_normal(shape)
    if latent == "sign":
        return rng.choice((-1.0, 1.0), shape)
    return rng.laplace(scale=np.sqrt(0.5), size=shape)


def _size(given: float, standard: float) -> float:
    """A number, or the standard one for True."""
    return standard if isinstance(given, bool | np.bool_) and given else float(given)


def _require_choices(world: World) -> None:
    choices = {"latent": LATENTS, "transform": TRANSFORMS, "target": TARGETS}
    for name, known in choices.items():
        found = getattr(world, name)
        if found not in known:
            raise ValueError(f"{name}={found!r}; expected one of {', '.join(known)}.")
    numbers = [f.name for f in fields(world) if f.name not in (*choices, "share", "shared_dim")]
    for name in numbers:
        if not np.isfinite(getattr(world, name)):
            raise ValueError(f"{name}={getattr(world, name)!r}; expected a finite number.")
