"""Flax NNX modules: they store parameters and call the pure functions of the other rooms.

Arrays are batch-major here, ``[*batch, time, features]``; everything below this room is time-major.
"""

# First: a broken pair of flax and jax must be told in words before any module of this room needs flax.
from seqjax.nn import compatibility as compatibility  # isort: skip

from seqjax.nn.attention import AdditiveAttention as AdditiveAttention
from seqjax.nn.attention import Attention as Attention
from seqjax.nn.attention import DotAttention as DotAttention
from seqjax.nn.attention_kinds import ATTENTIONS as ATTENTIONS
from seqjax.nn.attention_kinds import LocationAwareAttention as LocationAwareAttention
from seqjax.nn.attention_kinds import MonotonicAttention as MonotonicAttention
from seqjax.nn.bidirectional import Bidirectional as Bidirectional
from seqjax.nn.bidirectional import BidirectionalCarry as BidirectionalCarry
from seqjax.nn.bridge import Bridge as Bridge
from seqjax.nn.conditional_generator import ConditionalGenerator as ConditionalGenerator
from seqjax.nn.ctc_model import CTCModel as CTCModel
from seqjax.nn.decoder import Decoder as Decoder
from seqjax.nn.decoder import DecoderCarry as DecoderCarry
from seqjax.nn.decoder_model import DecoderStart as DecoderStart
from seqjax.nn.encoder_decoder import EncoderDecoder as EncoderDecoder
from seqjax.nn.ends import Embedding as Embedding
from seqjax.nn.ends import LinearHead as LinearHead
from seqjax.nn.generation import generate as generate
from seqjax.nn.language_model import LanguageModel as LanguageModel
from seqjax.nn.layer import Layer as Layer
from seqjax.nn.pooling import Pooling as Pooling
from seqjax.nn.recurrent import Recurrent as Recurrent
from seqjax.nn.sequence_classifier import SequenceClassifier as SequenceClassifier
from seqjax.nn.sequence_classifier import SequenceEncoder as SequenceEncoder
from seqjax.nn.sequence_model import SequenceModel as SequenceModel
from seqjax.nn.sequence_tagger import SequenceTagger as SequenceTagger
from seqjax.nn.stacked import Stacked as Stacked
from seqjax.nn.steps import Step as Step
from seqjax.nn.steps import recurrent_layers as recurrent_layers
from seqjax.nn.steps import step_of as step_of
