"""Random numbers that stay the same in every version of NumPy."""

import math

import numpy as np


class Draws:
    """A stream of numbers that a key of whole numbers decides.

    NumPy may change the distributions of its generators from one version to the next, but keeps the raw bits of
    Philox; everything here is computed from those.

    Example:
        >>> Draws(0, 1).order(5).tolist() == Draws(0, 1).order(5).tolist()
        True
    """

    def __init__(self, *key: int) -> None:
        self._bits = np.random.Philox(np.random.SeedSequence(key))

    def uniform(self, *shape: int) -> np.ndarray:
        """Numbers from 0 (included) to 1 (not), float64."""
        words = self._bits.random_raw(math.prod(shape))
        return (np.asarray(words, np.uint64) >> np.uint64(11)).reshape(shape) * 2.0**-53

    def integers(self, low: int, high: int, *shape: int) -> np.ndarray:
        """Whole numbers from ``low`` (included) to ``high`` (not), int64."""
        return low + (self.uniform(*shape) * (high - low)).astype(np.int64)

    def integer(self, low: int, high: int) -> int:
        """One whole number from ``low`` (included) to ``high`` (not)."""
        return int(self.integers(low, high))

    def normal(self, *shape: int) -> np.ndarray:
        """Numbers of mean 0 and variance 1, by the method of Box and Muller."""
        radius = np.sqrt(-2 * np.log1p(-self.uniform(*shape)))
        return radius * np.cos(2 * np.pi * self.uniform(*shape))

    def order(self, count: int) -> np.ndarray:
        """The numbers from 0 to ``count - 1`` in random order."""
        return np.argsort(self._bits.random_raw(count), kind="stable")
