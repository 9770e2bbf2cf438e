"""Options that cut across cells, as functions that take a cell and return a cell.

    >>> import seqjax
    >>> from seqjax.cells.transforms import layer_normalization, zoneout
    >>> cell = zoneout(layer_normalization(seqjax.cells.LSTM(input_size=3, hidden_size=5)), hidden=0.05)
    >>> cell.output_size, cell.hidden
    (5, 0.05)

The result is a cell like any other: equal, hashable, picklable, printed as the calls that make it. Its step is that of
the cell inside, with other kernels in the parameters (:mod:`seqjax.cells.kernels`), with named values replaced
(:func:`with_named`), or with something before or after it. Random masks and keys lie in the carry, for each sequence
its own: ``initial_carry`` draws them where it is given a key, and without one the cell is in evaluation. A cell that a
transform cannot take raises :class:`UnsupportedCell`, which says why, and which cells it can take.
"""

import inspect
from collections.abc import Callable

from seqjax.cells.transforms.base import NoisyCarry as NoisyCarry
from seqjax.cells.transforms.base import Transform as Transform
from seqjax.cells.transforms.base import UnsupportedCell as UnsupportedCell
from seqjax.cells.transforms.base import field_names as field_names
from seqjax.cells.transforms.base import is_noisy as is_noisy
from seqjax.cells.transforms.base import supported_cells as supported_cells
from seqjax.cells.transforms.base import with_noise_of as with_noise_of
from seqjax.cells.transforms.base import without_noise as without_noise
from seqjax.cells.transforms.carries import cell_clip as cell_clip
from seqjax.cells.transforms.carries import clip_gradient as clip_gradient
from seqjax.cells.transforms.carries import learned_initial_carry as learned_initial_carry
from seqjax.cells.transforms.connections import residual as residual
from seqjax.cells.transforms.connections import skip as skip
from seqjax.cells.transforms.dropout import input_dropout as input_dropout
from seqjax.cells.transforms.dropout import recurrent_dropout as recurrent_dropout
from seqjax.cells.transforms.dropout import weight_drop as weight_drop
from seqjax.cells.transforms.initialization import forget_gate_init as forget_gate_init
from seqjax.cells.transforms.initialization import reinitialized as reinitialized
from seqjax.cells.transforms.integration import multiplicative_integration as multiplicative_integration
from seqjax.cells.transforms.named import named_values as named_values
from seqjax.cells.transforms.named import with_named as with_named
from seqjax.cells.transforms.normalization import batch_normalization as batch_normalization
from seqjax.cells.transforms.normalization import layer_normalization as layer_normalization
from seqjax.cells.transforms.normalization import weight_normalization as weight_normalization
from seqjax.cells.transforms.structure import block_diagonal as block_diagonal
from seqjax.cells.transforms.structure import diagonal as diagonal
from seqjax.cells.transforms.structure import low_rank as low_rank
from seqjax.cells.transforms.zoneout import zoneout as zoneout


def _makes_a_cell(value: object) -> bool:
    returned = inspect.signature(value).return_annotation if inspect.isfunction(value) else None
    return isinstance(returned, type) and issubclass(returned, Transform)


_REGISTRY: dict[str, Callable[..., Transform]] = {
    name: value for name, value in sorted(globals().items()) if _makes_a_cell(value)
}


def registry() -> dict[str, Callable[..., Transform]]:
    """Every transform, by name."""
    return dict(_REGISTRY)
