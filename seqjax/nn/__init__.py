"""Flax NNX modules: they store parameters and call the pure functions of the other rooms.

Arrays are batch-major here, ``[*batch, time, features]``; everything below this room is time-major.
"""

# First: a broken pair of flax and jax must be told in words before any module of this room needs flax.
from seqjax.nn import compatibility as compatibility  # isort: skip

from seqjax.nn.bidirectional import Bidirectional as Bidirectional
from seqjax.nn.bidirectional import BidirectionalCarry as BidirectionalCarry
from seqjax.nn.generation import generate as generate
from seqjax.nn.language_model import Embedding as Embedding
from seqjax.nn.language_model import LanguageModel as LanguageModel
from seqjax.nn.language_model import LinearHead as LinearHead
from seqjax.nn.layer import Layer as Layer
from seqjax.nn.recurrent import Recurrent as Recurrent
from seqjax.nn.stacked import Stacked as Stacked
from seqjax.nn.steps import Step as Step
from seqjax.nn.steps import recurrent_layers as recurrent_layers
from seqjax.nn.steps import step_of as step_of
