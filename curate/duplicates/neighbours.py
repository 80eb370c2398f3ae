"""Which of some vectors have a cosine above 1 - epsilon: block by block, most of them ruled out by a few of their dimensions.

For vectors of length 1, |a - b|^2 = 2 - 2 cos(a, b), and no projection onto orthonormal directions is further apart than
the vectors are: a pair whose projections differ by more than 2 epsilon is no neighbour. What is left is compared in full, so
the answer does not depend on the projection, only the time does. The directions are the leading ones of a sample of the
vectors (a Rayleigh-Ritz step on its covariance); how many pay is tried on a sample too, and with none that does, or
within a dense block, everything is compared in full.
"""

from functools import cached_property

import numpy as np

TILE = 1024
"""Rows and columns compared at once: 4 MB of products."""
WIDTHS = (30, 62, 126)
"""Directions tried: two columns more hold the lengths, and BLAS likes what is even."""
_SAMPLE = 1024
_FEW = 1024
"""Vectors for which looking for directions costs more than it saves."""
_EXACT_COST = 64.0
"""What an exact comparison of a pair costs, in pairs of the block product: it gathers two vectors from anywhere."""
_DENSE = 1 / 64
"""Share of a tile's pairs that are compared one by one at most."""
_SLACK = 1e-4
"""More than float32 rounds products of unit vectors by."""


class Vectors:
    """float32 vectors of length 1, shape (n, width), asked for their neighbours a tile at a time."""

    def __init__(self, vectors: np.ndarray, epsilon: float):
        self.vectors, self.epsilon = np.ascontiguousarray(vectors, np.float32), epsilon
        self._out = np.empty(TILE * TILE, np.float32)

    def __len__(self) -> int:
        return len(self.vectors)

    def close(self, rows: np.ndarray | slice, columns: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Places (r, c) in `rows` and `columns`, TILE of each at most, of pairs with a cosine above 1 - epsilon, by r, c."""
        if self._sides is None:
            return self._all(rows, columns)
        left, right = self._sides
        product = self._product(left[rows], right[columns])
        r, c = np.divmod(np.flatnonzero(product.ravel() > -self.epsilon - _SLACK), product.shape[1])
        if len(r) > _DENSE * product.size:
            return self._all(rows, columns)
        cosine = np.einsum("ij,ij->i", self.vectors[rows][r], self.vectors[columns][c])
        close = cosine > 1 - self.epsilon
        return r[close], c[close]

    def _all(self, rows: np.ndarray | slice, columns: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        product = self._product(self.vectors[rows], self.vectors[columns])
        r, c = np.divmod(np.flatnonzero(product.ravel() > 1 - self.epsilon), product.shape[1])
        return r, c

    def _product(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        # A fresh 4 MB for each tile costs as much as the product itself: pages that the kernel has to clear.
        out = self._out[: len(left) * len(right)].reshape(len(left), len(right))
        return np.matmul(left, right.T, out=out)

    @cached_property
    def _sides(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(left, right) whose products are minus half the squared distance of projections; None where they do not pay."""
        n, width = self.vectors.shape
        if n < _FEW or width < 2 * WIDTHS[0]:
            return None
        sample = self.vectors[:: -(-n // _SAMPLE)]
        directions = _directions(sample, max(w for w in WIDTHS if 2 * w <= width))
        projected = self.vectors @ directions
        best, cost = None, float(width)
        for w in (w for w in WIDTHS if 2 * w <= width):
            left, right = _halves(projected[:, :w])
            some = slice(None, None, -(-n // 256))
            left_over = float(np.mean(left[some] @ right[some].T > -self.epsilon - _SLACK)) - 1 / len(left[some])
            mine = w + max(left_over, 0.0) * _EXACT_COST * width
            if mine < cost:
                best, cost = w, mine
        return _halves(projected[:, :best]) if best else None


class OnDevice(Vectors):
    """The same by torch on a GPU (or wherever `device` is), where everything is compared in full: that is cheap there."""

    def __init__(self, vectors: np.ndarray, epsilon: float, device: str):
        import torch

        super().__init__(vectors, epsilon)
        self._device, self._there = device, torch.from_numpy(self.vectors).to(device)

    def close(self, rows: np.ndarray | slice, columns: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        r, c = ((self._of(rows) @ self._of(columns).T) > 1 - self.epsilon).nonzero(as_tuple=True)
        return r.cpu().numpy(), c.cpu().numpy()

    def _of(self, places: np.ndarray | slice):
        import torch

        return self._there[places if isinstance(places, slice) else torch.from_numpy(places).to(self._device)]


def vectors(found: np.ndarray, epsilon: float, device: str = "cpu") -> Vectors:
    """The vectors on a device (`cpu`, `cuda`, `cuda:1`)."""
    return Vectors(found, epsilon) if device == "cpu" else OnDevice(found, epsilon, device)


def device_of(wanted: str) -> str:
    """What `auto` stands for: a GPU where there is one. torch is not loaded where no driver is."""
    import os

    if wanted != "auto":
        return wanted
    if not os.path.exists("/dev/nvidiactl"):
        return "cpu"
    try:
        import torch
    except ImportError:
        return "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"


def tiles(n: int) -> list[slice]:
    return [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]


def _directions(sample: np.ndarray, count: int) -> np.ndarray:
    """Orthonormal directions, shape (width, count), the widest first, of what the sample's vectors differ in."""
    apart = sample - sample.mean(axis=0)
    covariance = apart.T @ apart
    start = np.random.default_rng(0).normal(size=(len(covariance), count)).astype(np.float32)
    basis, _ = np.linalg.qr(covariance @ start)
    _, turn = np.linalg.eigh(basis.T @ covariance @ basis)
    return np.ascontiguousarray((basis @ turn)[:, ::-1])


def _halves(projected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half = (projected**2).sum(axis=1, keepdims=True) / 2
    one = np.ones_like(half)
    return np.hstack([projected, -half, -one]), np.hstack([projected, one, half])
