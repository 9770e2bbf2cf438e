"""Text from a language model: the prompt in one scan, then one compiled sampling loop."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from seqjax.decoding import Samples, sample
from seqjax.decoding.sampling import check_options
from seqjax.nn import functions
from seqjax.nn.language_model import LanguageModel

SHORTEST_BUCKET = 16


def generate(
    model: LanguageModel,
    prompt_tokens: Any,
    length: int,
    key: jax.Array,
    temperature: Any = 1.0,
    *,
    prompt_lengths: Any = None,
    top_k: int | None = None,
    top_p: Any = None,
    min_p: Any = None,
) -> Samples:
    """Continue prompts: :func:`seqjax.decoding.sample` from the carry that the prompt leaves, without dropout.

    Prompts are padded to a power of two, so that one compiled program serves all prompts of about a length; other
    parameters, keys and temperatures compile nothing.

    Args:
        model: the language model, in training or evaluation mode.
        prompt_tokens: whole numbers ``[*batch, time]``, concrete, at least one token.
        length: number of tokens to draw.
        key: random key.
        temperature: scalar or ``[*batch]``; 0 takes the most probable token.
        prompt_lengths: whole numbers ``[*batch]`` from 1 to ``time``, where prompts differ in length.
        top_k: draw only from the ``top_k`` most probable tokens.
        top_p: draw only from the fewest tokens that together have at least this probability.
        min_p: draw only from tokens at least this times as probable as the most probable one.

    Returns:
        Samples with ``tokens`` and ``log_probabilities`` batch-major, ``[*batch, length]``.

    Raises:
        ValueError: an empty prompt, or lengths that do not fit.
    """
    check_options(length, temperature, top_k)
    prompt_tokens = np.asarray(prompt_tokens)
    time_steps = prompt_tokens.shape[-1] if prompt_tokens.ndim else 0
    if time_steps == 0:
        raise ValueError(
            f"the prompt has shape {prompt_tokens.shape}, expected [*batch, time] with at least one token to continue"
        )
    batch = prompt_tokens.shape[:-1]
    prompt_lengths = np.broadcast_to(
        np.asarray(time_steps if prompt_lengths is None else prompt_lengths, np.int32), batch
    )
    if prompt_lengths.size and (prompt_lengths.min() < 1 or prompt_lengths.max() > time_steps):
        raise ValueError(
            f"prompt_lengths must be 1 to {time_steps}, the prompt's number of tokens, got {prompt_lengths}"
        )
    padding = _bucket(time_steps) - time_steps
    prompt_tokens = np.pad(prompt_tokens, [(0, 0)] * len(batch) + [(0, padding)])
    graphdef, state = nnx.split(nnx.view(model, deterministic=True, raise_if_not_found=False))
    temperature = jnp.asarray(temperature, jnp.float32)
    return _generate(graphdef, length, top_k, state, prompt_tokens, prompt_lengths, key, temperature, top_p, min_p)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _generate(
    graphdef: Any,
    length: int,
    top_k: int | None,
    state: Any,
    prompt_tokens: jax.Array,
    prompt_lengths: jax.Array,
    key: jax.Array,
    temperature: Any,
    top_p: Any,
    min_p: Any,
) -> Samples:
    model = nnx.merge(graphdef, state)
    # The last token of the prompt is the first that sampling reads.
    carry, _ = model(prompt_tokens, lengths=functions.all_but_last(prompt_lengths))
    first_token = functions.last_token(prompt_tokens, prompt_lengths)
    step = lambda carry, token: model.step(token, carry)
    samples = sample(step, carry, first_token, length, key, temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    tokens, log_probabilities = functions.to_batch_major(samples[:2], feature_axes=0)
    return Samples(tokens, log_probabilities, samples.carry)


def _bucket(time_steps: int) -> int:
    return max(SHORTEST_BUCKET, 1 << (time_steps - 1).bit_length())
