"""Cells beside each other on tasks, at equal parameter count: how to choose one."""

from seqjax.comparison.models import BASELINE as BASELINE
from seqjax.comparison.models import ConvolutionModel as ConvolutionModel
from seqjax.comparison.models import Model as Model
from seqjax.comparison.models import RecurrentModel as RecurrentModel
from seqjax.comparison.models import model_of_size as model_of_size
from seqjax.comparison.models import parameter_count as parameter_count
from seqjax.comparison.picture import draw as draw
from seqjax.comparison.picture import figure as figure
from seqjax.comparison.results import Comparison as Comparison
from seqjax.comparison.results import Outcome as Outcome
from seqjax.comparison.results import table as table
from seqjax.comparison.study import Settings as Settings
from seqjax.comparison.study import compare as compare
from seqjax.comparison.study import train as train
