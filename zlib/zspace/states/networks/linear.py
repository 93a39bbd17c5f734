"""Small networks trained on a known problem: linear nets of any depth and width, in float64.

The loss is that of `theory.agreement`, sum_l share_l E|y - W x|^2 with W = W_L ... W_1, exact from the
moments of the problem, so that nothing is sampled. Training is plain gradient descent with a fixed step,
until the gradient is as small as asked: it follows the gradient flow, which keeps balanced weights balanced.
S nets with the same shape train side by side; layer k is an array (S, width_k+1, width_k).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...errors import ConvergenceError
from ...theory import Moments, map_loss


@dataclass(frozen=True)
class LinearNetworks:
    """S trained linear nets.

    Attributes
    ----------
    layers : L arrays (S, width_k+1, width_k), the first acts on the input.
    loss : (S,) loss at the end.
    gradient_norm : (S,) Frobenius norm of the gradient with respect to all layers, at the end.
    n_steps : steps taken.
    """

    layers: tuple[np.ndarray, ...]
    loss: np.ndarray
    gradient_norm: np.ndarray
    n_steps: int

    @property
    def product(self) -> np.ndarray:
        """(S, d_y, d_x) the map that each net computes."""
        return _product(self.layers)


def train_linear(
    problem: Moments,
    widths: Sequence[int],
    *,
    rng: np.random.Generator,
    n_nets: int = 1,
    init: str = "standard",
    scale: float = 0.7,
    step: float = 0.1,
    gradient_norm: float = 1e-10,
    max_steps: int = 200_000,
) -> LinearNetworks:
    """Linear nets that gradient descent has brought to a stationary point of the loss.

    Parameters
    ----------
    problem : moments of inputs and target.
    widths : (L+1,) d_x, hidden widths, d_y; one narrower than its neighbours is a bottleneck.
    init : "standard", normal entries of variance scale^2 / width; "balanced", `scale` times rotations
        between the layers whose product is `scale`^L times the identity; "identity", as a residual net
        whose contributions W_k - I start at zero. The last two need equal widths.
    step : in units of one over the largest eigenvalue of S.
    gradient_norm : Frobenius norm of the gradient at which training stops.

    Raises
    ------
    ValueError : widths do not fit the problem or the init, or the init is unknown.
    ConvergenceError : the loss diverges (the step is too large), or `max_steps` do not suffice.
    """
    layers = _initial(problem, tuple(widths), init, scale, n_nets, rng)
    rate = step / np.linalg.eigvalsh(problem.second)[-1]
    for n_steps in range(max_steps + 1):
        gradients = _gradients(layers, problem)
        norms = np.sqrt(sum((g**2).sum((-2, -1)) for g in gradients))
        if not np.isfinite(norms).all():
            raise ConvergenceError(
                f"gradient descent diverged after {n_steps} steps of {step:g}; take a smaller step."
            )
        if norms.max() <= gradient_norm:
            return LinearNetworks(tuple(layers), map_loss(_product(layers), problem), norms, n_steps)
        for layer, gradient in zip(layers, gradients, strict=True):
            layer -= rate * gradient
    raise ConvergenceError(
        f"the gradient norm is {norms.max():.2g} after {max_steps} steps, above {gradient_norm:g}; take more "
        "or larger steps, or a problem without directions of agreement near zero."
    )


def train_greedily(
    problem: Moments, n_layers: int, *, rng: np.random.Generator, gradient_norm: float = 1e-10
) -> LinearNetworks:
    """One net whose layers are trained one after another, each as if it were the last, the earlier frozen.

    What every layer would do on its own, without the coupling that training them together brings; keyword
    arguments as in `train_linear`.
    """
    layers, steps, inputs = [], 0, problem
    for stream in rng.spawn(n_layers):
        widths = (len(inputs.second), problem.cross.shape[1])
        found = train_linear(inputs, widths, rng=stream, step=0.9, gradient_norm=gradient_norm)
        layers += found.layers
        steps += found.n_steps
        weight = found.product[0]
        inputs = Moments(weight @ inputs.second @ weight.T, weight @ inputs.cross, inputs.energy)
    return LinearNetworks(tuple(layers), found.loss, found.gradient_norm, steps)


def _initial(problem, widths, init, scale, n_nets, rng) -> list[np.ndarray]:
    ends = (problem.second.shape[0], problem.cross.shape[1])
    if len(widths) < 2 or (widths[0], widths[-1]) != ends or min(widths) < 1:
        raise ValueError(f"widths={widths}; expected from d_x={ends[0]} to d_y={ends[1]}, all positive.")
    if init not in ("balanced", "standard", "identity"):
        raise ValueError(f"init={init!r}; expected one of balanced, standard, identity.")
    shapes = list(zip(widths[1:], widths[:-1], strict=True))
    if init == "standard":
        return [scale / np.sqrt(n) * rng.standard_normal((n_nets, m, n)) for m, n in shapes]
    if len(set(widths)) > 1:
        raise ValueError(f"init={init!r} needs equal widths, found {widths}.")
    identity = np.tile(np.eye(widths[0]), (n_nets, 1, 1))
    if init == "identity":
        return [identity.copy() for _ in shapes]
    turns = np.linalg.qr(rng.standard_normal((len(shapes) - 1, n_nets, widths[0], widths[0])))[0]
    frames = [identity, *turns, identity]
    return [scale * after @ np.swapaxes(before, -1, -2) for before, after in pairwise(frames)]


def _gradients(layers, problem: Moments) -> list[np.ndarray]:
    """Gradient of the loss in every layer: (W_L..W_k+1)' G (W_k-1..W_1)', G = 2 (W S - M')."""
    before = [np.eye(layers[0].shape[-1])]
    for layer in layers:
        before.append(layer @ before[-1])
    backward = 2 * (before[-1] @ problem.second - problem.cross.T)
    gradients = []
    for k in reversed(range(len(layers))):
        gradients.append(backward @ np.swapaxes(before[k], -1, -2))
        backward = np.swapaxes(layers[k], -1, -2) @ backward
    return gradients[::-1]


def _product(layers) -> np.ndarray:
    return functools.reduce(lambda product, layer: layer @ product, layers)
