"""Pictures of attention; saved as those of :mod:`seqjax.analysis.plots`, with :func:`~seqjax.analysis.plots.save`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from seqjax.analysis.plots import _figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LARGEST = 14.0


def draw_attention(
    weights: Any, input_tokens: Sequence[str] | None, output_tokens: Sequence[str], *, title: str | None = None
) -> "Figure":
    """Where each output looked: a row for each output, from the top, and a column for each input.

    Args:
        weights: ``[outputs, positions]`` of one sequence; what is beyond the tokens is padding, and is cut.
        input_tokens: a text for each position; ``None`` for numbers, where positions are frames.
        output_tokens: a text for each output.
        title: of the picture.

    Raises:
        ValueError: more tokens than there are weights.
    """
    values = np.asarray(weights, np.float64)
    wanted = (len(output_tokens), values.shape[-1] if input_tokens is None else len(input_tokens))
    if values.ndim != 2 or wanted[0] > values.shape[0] or wanted[1] > values.shape[1]:
        raise ValueError(
            f"the weights have shape {values.shape}, expected [outputs, positions] of at least {list(wanted)} for "
            f"{wanted[0]} outputs and {wanted[1]} inputs; take those of one sequence"
        )
    values = values[: wanted[0], : wanted[1]]
    longest = max((len(token) for token in input_tokens or ()), default=1)
    figure, axes = _figure(
        min(2.4 + 0.3 * wanted[1] * (1 if input_tokens is not None else 0.1), _LARGEST),
        min(1.5 + 0.28 * wanted[0] + (0.09 * longest if longest > 2 else 0), _LARGEST),
    )
    edges = [np.arange(size + 1) - 0.5 for size in reversed(wanted)]
    image = axes.pcolormesh(*edges, values, cmap="Blues", vmin=0, vmax=max(values.max(initial=0), 1e-6))
    figure.colorbar(image, ax=axes, label="weight", shrink=0.8)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(wanted[0]), output_tokens, parse_math=False)
    if input_tokens is None:
        axes.set_xlabel("position of the input")
    else:
        turned = 90 if longest > 2 else 0
        axes.set_xticks(np.arange(wanted[1]), input_tokens, rotation=turned, parse_math=False)
        axes.set_xlabel("input")
    axes.set_ylabel("output")
    axes.set_title(title or "Where each output looked", loc="left")
    return figure
