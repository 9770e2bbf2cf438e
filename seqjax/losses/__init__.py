"""Losses over sequences: pure functions with masks for padding."""

from seqjax.losses.classification import bits_per_symbol as bits_per_symbol
from seqjax.losses.classification import cross_entropy as cross_entropy
from seqjax.losses.classification import mean_cross_entropy as mean_cross_entropy
from seqjax.losses.ctc import Alignment as Alignment
from seqjax.losses.ctc import check_ctc_targets as check_ctc_targets
from seqjax.losses.ctc import ctc_alignable as ctc_alignable
from seqjax.losses.ctc import ctc_best_alignment as ctc_best_alignment
from seqjax.losses.ctc import ctc_loss as ctc_loss
from seqjax.losses.ctc import ctc_occupation as ctc_occupation
from seqjax.losses.masks import masked_mean as masked_mean
from seqjax.losses.multi_label import binary_cross_entropy as binary_cross_entropy
from seqjax.losses.regression import absolute_error as absolute_error
from seqjax.losses.regression import huber as huber
from seqjax.losses.regression import quantile_loss as quantile_loss
from seqjax.losses.regression import squared_error as squared_error
