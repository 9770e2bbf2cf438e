"""Cells beside each other on tasks, at equal parameter count: how to choose one."""

from seqjax.comparison.cures import GROUPS as GROUPS
from seqjax.comparison.cures import Cure as Cure
from seqjax.comparison.cures import Cured as Cured
from seqjax.comparison.cures import Cures as Cures
from seqjax.comparison.cures import StackModel as StackModel
from seqjax.comparison.cures import compare_cures as compare_cures
from seqjax.comparison.cures import cure_table as cure_table
from seqjax.comparison.cures import list_cures as list_cures
from seqjax.comparison.cures_picture import cures_figure as cures_figure
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
