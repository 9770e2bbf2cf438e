"""The laws that every cell obeys: the ways of running it agree with each other, in every mode of the engine.

They prove consistency, not truth: that the equations are the paper's is for a second implementation to show. A cell
that cannot obey a law says so itself, with the reason: ``law_exceptions = {"causality": "reads the whole sequence"}``.
"""

from seqjax.laws import promises as promises
from seqjax.laws import running as running
from seqjax.laws import segments as segments
from seqjax.laws import transformations as transformations
from seqjax.laws.registry import LAWS as LAWS
from seqjax.laws.registry import Law as Law
from seqjax.laws.registry import LawBroken as LawBroken
from seqjax.laws.registry import Verdict as Verdict
from seqjax.laws.registry import judge as judge
from seqjax.laws.subject import Subject as Subject
from seqjax.laws.subject import arguments_of as arguments_of
