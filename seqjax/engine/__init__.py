"""The time engine: runs a step over time, and moves the work that does not need the carry out of the loop."""

from seqjax.engine.driver import scan as scan
from seqjax.engine.explain import Explanation as Explanation
from seqjax.engine.explain import explain as explain
