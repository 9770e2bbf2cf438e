"""The sum over paths by listing them all, in NumPy and float64."""

import itertools
from functools import cache

import numpy as np
from scipy.special import log_softmax


def collapse(path, blank):
    """The labels that a path stands for."""
    merged = [symbol for symbol, _ in itertools.groupby(path)]
    return tuple(int(symbol) for symbol in merged if symbol != blank)


@cache
def paths(frames, classes, blank):
    """All paths ``[number, frames]``, and which of them stand for which labels."""
    every = np.array(list(itertools.product(range(classes), repeat=frames)), int).reshape(classes**frames, frames)
    groups = {}
    for index, path in enumerate(every):
        groups.setdefault(collapse(path, blank), []).append(index)
    return every, groups


def path_log_probabilities(logits, blank):
    """Of every path of frames ``[time, classes]``."""
    every, groups = paths(*logits.shape, blank)
    frames = log_softmax(np.asarray(logits, np.float64), axis=-1) if logits.size else np.zeros(logits.shape)
    return every, groups, np.sum(frames[np.arange(len(frames)), every], axis=1)


def loss_and_gradient(logits, labels, blank):
    """Minus the log-probability of the labels, and its gradient to the logits; zero where there is no path."""
    every, groups, scores = path_log_probabilities(logits, blank)
    chosen = groups.get(tuple(labels))
    if chosen is None:
        return np.inf, np.zeros(logits.shape)
    weights = np.exp(scores[chosen])
    total = weights.sum()
    symbols = every[chosen][..., None] == np.arange(logits.shape[1])
    occupation = np.einsum("p,ptk->tk", weights / total, symbols)
    return -np.log(total), np.exp(log_softmax(np.asarray(logits, np.float64), axis=-1)) - occupation


def all_labels(logits, blank):
    """The log-probability of every label sequence that has one."""
    _, groups, scores = path_log_probabilities(logits, blank)
    totals = {labels: np.sum(np.exp(scores[chosen])) for labels, chosen in groups.items()}
    return {labels: np.log(total) for labels, total in totals.items() if total > 0}
