"""Metrics that are a mean over positions: accuracy, perplexity, errors of forecasts."""

import dataclasses
import math
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean, with the number of positions that it is of; those of several batches are added.

    Of any loss too: of :func:`seqjax.losses.binary_cross_entropy` it is the negative log-likelihood of a frame (of
    music, say), and of :func:`seqjax.losses.cross_entropy` what :func:`perplexity` reads.

    Attributes:
        total: the sum.
        count: how many were summed.

    Example:
        >>> from seqjax.metrics import Mean, accuracy
        >>> batches = [([1, 2, 3], [1, 2, 0]), ([5], [5])]
        >>> sum((accuracy(said, right) for said, right in batches), Mean())
        Mean(total=3.0, count=4)
        >>> _.value
        0.75
    """

    total: float = 0.0
    count: int = 0

    @classmethod
    def of(cls, values: Any, mask: Any = None) -> "Mean":
        """The mean of an array, where the mask is True; what is masked may be anything, NaN too."""
        values = np.asarray(values, np.float64)
        if mask is None:
            return cls(float(values.sum()), values.size)
        mask = np.asarray(mask)
        if mask.dtype != np.bool_ or mask.shape != values.shape:
            raise ValueError(
                f"mask must be booleans (True = this position counts) of shape {values.shape}, got {mask.dtype} of "
                f"shape {mask.shape}"
            )
        return cls(float(values[mask].sum()), int(mask.sum()))

    @property
    def value(self) -> float:
        """The mean; NaN of nothing."""
        return self.total / self.count if self.count else math.nan

    @property
    def root(self) -> float:
        """The square root of the mean: of squared errors, the root mean squared error."""
        return math.sqrt(self.value)

    def __add__(self, other: "Mean") -> "Mean":
        return Mean(self.total + other.total, self.count + other.count)


def perplexity(nats: float) -> float:
    r"""The number of equally likely symbols that a mean loss in nats stands for, :math:`e^{\ell}`.

    The loss is the mean over all symbols: a mean of batches' perplexities is no perplexity. In bits it is
    :func:`seqjax.losses.bits_per_symbol`.

    Example:
        >>> import math, seqjax
        >>> round(seqjax.metrics.perplexity(math.log(8)), 6)
        8.0
    """
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def accuracy(predictions: Any, labels: Any, mask: Any = None) -> Mean:
    """The share of positions whose class is right.

    Args:
        predictions: classes, ``[*positions]``; of logits, their ``argmax(-1)``.
        labels: classes, ``[*positions]``.
        mask: booleans ``[*positions]``, True where the position counts; every position if not given.

    Raises:
        ValueError: shapes that differ, predictions that are not classes, or a mask that does not fit.
    """
    predictions, labels = _alike(predictions, labels)
    if predictions.dtype.kind not in "iubUO":
        raise ValueError(f"predictions must be classes, got {predictions.dtype}; take the argmax of the logits")
    return Mean.of(predictions == labels, mask)


def squared_error(predictions: Any, targets: Any, mask: Any = None) -> Mean:
    """Mean squared error; its ``root`` is the root mean squared error.

    Args:
        predictions: numbers, ``[*positions]``.
        targets: numbers, ``[*positions]``.
        mask: booleans ``[*positions]``, True where the position counts; every position if not given.

    Raises:
        ValueError: shapes that differ, or a mask that does not fit.
    """
    predictions, targets = _alike(predictions, targets)
    return Mean.of((predictions.astype(np.float64) - targets) ** 2, mask)


def absolute_error(predictions: Any, targets: Any, mask: Any = None) -> Mean:
    """Mean absolute error; arguments as for :func:`squared_error`."""
    predictions, targets = _alike(predictions, targets)
    return Mean.of(np.abs(predictions.astype(np.float64) - targets), mask)


def scaled_error(predictions: Any, targets: Any, history: Any, mask: Any = None, *, period: int = 1) -> Mean:
    r"""Mean absolute scaled error: 1 is what repeating the last season errs by, one step ahead, in the history.

    .. math:: \frac{|y_t - \hat y_t|}{\frac{1}{T - m} \sum_{s=m+1}^{T} |x_s - x_{s-m}|}

    Args:
        predictions: ``[time, *series]``; each series has its own scale.
        targets: ``[time, *series]``.
        history: what the model was trained on, ``[history time, *series]``.
        mask: booleans ``[time, *series]``, True where the position counts; every position if not given.
        period: m, steps in a season; 1 where there is none.

    Raises:
        ValueError: shapes that do not fit, a history that is no longer than a season, or one that repeats itself
            exactly and has no scale.

    Source: Hyndman and Koehler 2006, Another look at measures of forecast accuracy.
    """
    predictions, targets = _alike(predictions, targets)
    history = np.asarray(history, np.float64)
    if period < 1 or history.ndim == 0 or len(history) <= period or history.shape[1:] != targets.shape[1:]:
        raise ValueError(
            f"the history has shape {history.shape}, expected [more than period={period}, *{targets.shape[1:]}] with a "
            "period of at least 1"
        )
    scale = np.abs(history[period:] - history[:-period]).mean(0)
    if np.any(scale == 0):
        raise ValueError(f"{np.count_nonzero(scale == 0)} series repeat themselves exactly and have no scale")
    return Mean.of(np.abs(predictions.astype(np.float64) - targets) / scale, mask)


def quantile_coverage(predictions: Any, targets: Any, mask: Any = None) -> Mean:
    """The share of targets at or below the predicted quantile: near 0.9 if it is a good 0.9 quantile.

    Args:
        predictions: one quantile, ``[*positions]``.
        targets: ``[*positions]``.
        mask: booleans ``[*positions]``, True where the position counts; every position if not given.

    Raises:
        ValueError: shapes that differ, or a mask that does not fit.
    """
    predictions, targets = (array.astype(np.float64) for array in _alike(predictions, targets))
    # Compared with anything, NaN is False.
    unknown = np.isnan(predictions) | np.isnan(targets)
    return Mean.of(np.where(unknown, np.nan, targets <= predictions), mask)


def _alike(predictions: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    predictions, targets = np.asarray(predictions), np.asarray(targets)
    if predictions.shape != targets.shape:
        raise ValueError(f"predictions have shape {predictions.shape} and what is right has {targets.shape}")
    return predictions, targets
