"""Losses over sequences: pure functions with masks for padding."""

from seqjax.losses.classification import bits_per_symbol as bits_per_symbol
from seqjax.losses.classification import cross_entropy as cross_entropy
from seqjax.losses.classification import mean_cross_entropy as mean_cross_entropy
