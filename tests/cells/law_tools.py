"""Arguments for cells on trial, as the laws draw them."""

from seqjax.laws.subject import Arguments as Arguments
from seqjax.laws.subject import Flags as Flags
from seqjax.laws.subject import arguments_of as arguments_of
from seqjax.laws.subject import python_loop as python_loop
