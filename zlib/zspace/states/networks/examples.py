"""Training examples of many worlds at once, as torch tensors; private to this folder.

Every network draws from a generator of its own, in chunks of `CHUNK` steps (languages, then latents, then
noise), so that what it sees does not depend on which other networks are trained beside it, nor on the device.
Symbols: M networks, B examples a step, C = CHUNK, K languages, d dimensions.
"""

from collections.abc import Sequence

import numpy as np

from ...sources.worlds import World

CHUNK = 25


def tanh(x):
    """tanh x as 2 sigmoid(2x) - 1, in place: off by 2e-7 at most; torch's sigmoid is six times as fast."""
    return x.mul_(2).sigmoid_().mul_(2).sub_(1)


class Examples:
    """Inputs (M, C, B, d + K) and targets (M, C, B, d) of one chunk after another."""

    def __init__(
        self, worlds: Sequence[World], generators: Sequence[np.random.Generator], batch: int, device
    ):
        import torch

        self.worlds, self.generators, self.batch, self.device = worlds, generators, batch, device
        parts = [w.parts for w in worlds]
        self.transforms = self._tensor(np.stack([p.transforms for p in parts]))
        self.centroids = self._tensor(np.stack([p.centroids for p in parts]))
        self.noise = self._tensor(np.array([w.noise for w in worlds]))[:, None, None]
        self.flags = self._tensor(np.array([w.flag for w in worlds]))[:, None, None]
        self.shares = [np.cumsum(w.share)[:-1] for w in worlds]
        # networks of one kind of target are solved together
        kinds = np.array([w.target for w in worlds])
        self.rows = {k: torch.as_tensor(np.flatnonzero(kinds == k), device=device) for k in set(kinds)}
        self.maps = {}
        for kind in self.rows.keys() - {"linear"}:
            own = [p for p, of in zip(parts, kinds, strict=True) if of == kind]
            self.maps[kind] = [
                self._tensor(np.stack([getattr(p, n) for p in own])) for n in ("first", "second")
            ]

    def chunk(self):
        """The next inputs and targets."""
        language, latents, noise = self._draw()
        return self._show(language, latents, noise), self._solve(language, latents)

    def _draw(self):
        import torch

        n, d = CHUNK * self.batch, self.worlds[0].dim
        languages, latents, noise = [], [], []
        for world, share, rng in zip(self.worlds, self.shares, self.generators, strict=True):
            languages.append(np.searchsorted(share, rng.random(n), side="right"))
            latents.append(_latents(world.latent, (n, d), rng))
            noise.append(rng.standard_normal((n, d), dtype=np.float32))
        language = torch.as_tensor(np.stack(languages), device=self.device)
        return language, self._tensor(np.stack(latents)), self._tensor(np.stack(noise))

    def _show(self, language, latents, noise):
        import torch

        m, n, d = latents.shape
        k = self.transforms.shape[1]
        # all languages by one product and then the one drawn: cheaper than a matrix for every example
        all_shown = torch.bmm(latents, self.transforms.reshape(m, k * d, d).mT).reshape(-1, d)
        chosen = torch.arange(m * n, device=self.device) * k + language.flatten()
        shown = all_shown.index_select(0, chosen).reshape(m, n, d)
        network = torch.arange(m, device=self.device)[:, None] * k
        centroids = self.centroids.reshape(-1, d)
        offset = centroids.index_select(0, (network + language).flatten()).reshape(m, n, d)
        code = torch.nn.functional.one_hot(language, k).to(shown.dtype) * self.flags
        shown += offset
        shown += self.noise * noise
        inputs = torch.cat([shown, code], -1)
        return inputs.reshape(m, CHUNK, self.batch, d + k)

    def _solve(self, language, latents):
        import torch

        m, d = len(latents), latents.shape[-1]
        targets = torch.empty_like(latents)
        for kind, rows in self.rows.items():
            shown = latents[rows]
            if kind == "linear":
                targets[rows] = shown
            elif kind == "shared":
                first, second = (maps[:, 0] for maps in self.maps[kind])
                targets[rows] = torch.bmm(tanh(torch.bmm(shown, first.mT)), second.mT)
            else:
                targets[rows] = self._solve_private(shown, language[rows])
        return targets.reshape(m, CHUNK, self.batch, d)

    def _solve_private(self, latents, language):
        import torch

        first, second = self.maps["private"]
        solved = torch.zeros_like(latents)
        for k in range(first.shape[1]):
            found = torch.bmm(tanh(torch.bmm(latents, first[:, k].mT)), second[:, k].mT)
            solved = torch.where((language == k)[:, :, None], found, solved)
        return solved

    def _tensor(self, array: np.ndarray):
        import torch

        return torch.as_tensor(array, dtype=torch.float32, device=self.device)


def _latents(latent: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    if latent == "gaussian":
        return rng.standard_normal(shape, dtype=np.float32)
    if latent == "sign":
        return (2 * (rng.random(shape, dtype=np.float32) < 0.5) - 1).astype(np.float32)
    return rng.laplace(scale=np.sqrt(0.5), size=shape).astype(np.float32)
