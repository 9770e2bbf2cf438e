"""Decoding: sequences from any step function ``step(carry, token) -> (carry, logits)`` and any carry."""

from seqjax.decoding.sampling import Samples as Samples
from seqjax.decoding.sampling import Step as Step
from seqjax.decoding.sampling import sample as sample
