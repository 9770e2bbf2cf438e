"""Tokens per second of greedy decoding and of a beam, compiled once, beside a plain loop in torch.

    python -m tests.benchmarks.decoding [--hidden 256] [--classes 100] [--length 100] [--batches 1 32] [--beam 8]

One LSTM layer reads one-hot tokens. Its end token never is likely, so that the loop in torch, which keeps no pool of
hypotheses that have ended, computes what ours does; the tokens of both are compared first.
"""

import argparse
import statistics
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from seqjax.bench.machine import machine
from seqjax.bench.measure import duration, times_in_turn
from seqjax.cells import LSTM
from seqjax.decoding import beam_search, greedy

END, NEVER = 0, -30.0


def ours(weights, batch, length, beam):
    """A function that decodes."""
    head, *_ = weights
    cell = LSTM(input_size=head.shape[1], hidden_size=head.shape[0])

    def step(weights, carry, token):
        head, bias, params = weights
        carry, output = cell(params, carry, jax.nn.one_hot(token, head.shape[1]))
        return carry, output @ head + bias

    arguments = Partial(step, weights), cell.initial_carry((batch,)), jnp.ones(batch, jnp.int32), length
    if beam is None:
        return lambda: np.asarray(greedy(*arguments, end_token=END).tokens).T
    return lambda: np.asarray(beam_search(*arguments, beam_size=beam, end_token=END).tokens)[:, 0]


def theirs(weights, batch, length, beam):
    """The same, written as one would in torch."""
    import torch

    head, bias, params = jax.tree.map(lambda array: torch.tensor(np.asarray(array)), weights)
    classes = head.shape[1]
    cell = torch.nn.LSTMCell(classes, head.shape[0])
    one_hot = torch.eye(classes)
    # Their gates come in the order i, f, g, o too, with two biases.
    with torch.no_grad():
        cell.weight_ih.copy_(params.kernel.T)
        cell.weight_hh.copy_(params.recurrent_kernel.T)
        cell.bias_ih.copy_(params.bias)
        cell.bias_hh.zero_()

    @torch.inference_mode()
    def decode():
        token, carry, tokens = torch.ones(batch, dtype=torch.long), None, []
        for _ in range(length):
            carry = cell(one_hot[token], carry)
            token = (carry[0] @ head + bias).argmax(-1)
            tokens.append(token)
        return torch.stack(tokens, 1).numpy()

    @torch.inference_mode()
    def search():
        token, carry = torch.ones(batch * beam, dtype=torch.long), None
        tokens = torch.zeros(batch, beam, 0, dtype=torch.long)
        scores = torch.full((batch, beam), -torch.inf)
        scores[:, 0] = 0
        row = torch.arange(batch)[:, None] * beam
        for _ in range(length):
            carry = cell(one_hot[token], carry)
            extended = scores[..., None] + (carry[0] @ head + bias).log_softmax(-1).view(batch, beam, classes)
            scores, best = extended.view(batch, -1).topk(beam)
            parent, new = best // classes, best % classes
            carry = tuple(state[(row + parent).view(-1)] for state in carry)
            tokens = torch.cat([tokens.gather(1, parent[..., None].expand(-1, -1, tokens.shape[2])), new[..., None]], 2)
            token = new.view(-1)
        return tokens[:, 0].numpy()

    return decode if beam is None else search


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("hidden", 256), ("classes", 100), ("length", 100), ("beam", 8), ("rounds", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 32])
    options = parser.parse_args()
    print(machine())
    draw = np.random.default_rng(0).standard_normal
    head = draw((options.hidden, options.classes), dtype=np.float32)
    bias = np.where(np.arange(options.classes) == END, NEVER, 0).astype(np.float32)
    cell = LSTM(input_size=options.classes, hidden_size=options.hidden)
    weights = head, bias, cell.init(jax.random.key(0))
    for batch in options.batches:
        for beam in (None, options.beam):
            builders = {"seqjax": ours, "torch": theirs}
            programs = {name: build(weights, batch, options.length, beam) for name, build in builders.items()}
            results = {name: program() for name, program in programs.items()}
            equal = np.mean(np.all(results["seqjax"] == results["torch"], axis=1))
            runs = {name: partial(duration, program) for name, program in programs.items()}
            times = times_in_turn(runs, warmup=2, rounds=options.rounds, failures={})
            speeds = {name: batch * options.length / statistics.median(seconds) for name, seconds in times.items()}
            what = "greedy" if beam is None else f"beam {beam}"
            figures = ", ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items())
            print(f"{what}, batch {batch}: {figures} tokens per second; {equal:.0%} of rows equal")


if __name__ == "__main__":
    main()
