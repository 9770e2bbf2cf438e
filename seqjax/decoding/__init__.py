"""Decoding: sequences from any step function ``step(carry, token) -> (carry, logits)`` and any carry."""

from seqjax.decoding.beam import beam_search as beam_search
from seqjax.decoding.constraints import Automaton as Automaton
from seqjax.decoding.constraints import Constraint as Constraint
from seqjax.decoding.ctc import Transcripts as Transcripts
from seqjax.decoding.ctc import ctc_beam_search as ctc_beam_search
from seqjax.decoding.ctc import ctc_greedy as ctc_greedy
from seqjax.decoding.hypotheses import Hypotheses as Hypotheses
from seqjax.decoding.labels import LabelSamples as LabelSamples
from seqjax.decoding.labels import sample_labels as sample_labels
from seqjax.decoding.penalties import AverageLengthPenalty as AverageLengthPenalty
from seqjax.decoding.penalties import CoveragePenalty as CoveragePenalty
from seqjax.decoding.penalties import GNMTLengthPenalty as GNMTLengthPenalty
from seqjax.decoding.penalties import LengthPenalty as LengthPenalty
from seqjax.decoding.sampling import Samples as Samples
from seqjax.decoding.sampling import greedy as greedy
from seqjax.decoding.sampling import sample as sample
from seqjax.decoding.scoring import SequenceLogProbability as SequenceLogProbability
from seqjax.decoding.scoring import log_probability as log_probability
from seqjax.decoding.steps import Step as Step
