"""Metrics over predictions on the host: NumPy and the standard library, no JAX.

What the model said comes first, what is right second. Whatever is counted can be added over batches with ``+``, so that
every position, token or span weighs the same, whatever batch it was in.
"""

from seqjax.metrics.bleu import Bleu as Bleu
from seqjax.metrics.bleu import bleu as bleu
from seqjax.metrics.confusion import Confusion as Confusion
from seqjax.metrics.confusion import confusion as confusion
from seqjax.metrics.edits import Alignment as Alignment
from seqjax.metrics.edits import Edits as Edits
from seqjax.metrics.edits import align as align
from seqjax.metrics.edits import count_edits as count_edits
from seqjax.metrics.edits import edit_distance as edit_distance
from seqjax.metrics.edits import exact_match as exact_match
from seqjax.metrics.means import Mean as Mean
from seqjax.metrics.means import absolute_error as absolute_error
from seqjax.metrics.means import accuracy as accuracy
from seqjax.metrics.means import perplexity as perplexity
from seqjax.metrics.means import quantile_coverage as quantile_coverage
from seqjax.metrics.means import scaled_error as scaled_error
from seqjax.metrics.means import squared_error as squared_error
from seqjax.metrics.spans import Span as Span
from seqjax.metrics.spans import SpanCounts as SpanCounts
from seqjax.metrics.spans import SpanScores as SpanScores
from seqjax.metrics.spans import span_scores as span_scores
from seqjax.metrics.spans import spans as spans
