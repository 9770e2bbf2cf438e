"""Where sequences begin, end and are cut: padding, resets, causality, directions, chunks, batches of any shape."""

import functools
from typing import Any

import jax
import numpy as np

from seqjax.engine import scan
from seqjax.laws.registry import LawBroken, law
from seqjax.laws.running import ENGINE, REPORT, compare
from seqjax.laws.subject import BATCH, CASES, Arguments, Flags, Settings, Subject, Values
from seqjax.laws.trees import difference, floats, is_float, name_of, on_host

RAGGED = ("ragged", "ragged-reverse", "ragged-reverse-checkpoint")
_GARBAGE = (float("nan"), float("inf"), 1e30)
_MIXES = "the step mixes the sequences of a batch (a mean, softmax or product over the first axis)"
_RIGHT = "let axes of the step count from the right (axis=-1): a step sees [*batch, features]"


@law()
def padding_changes_nothing(subject: Subject) -> None:
    """What stands after a sequence's end, NaN too, touches no output, no carry and no gradient."""
    for case in subject.cases(*RAGGED):
        at, flags = subject.arguments(), subject.ragged()
        padding = np.arange(subject.time)[:, None] >= flags.lengths
        want = subject.evaluate(case, at, flags)
        for garbage in _GARBAGE:
            inputs = jax.tree.map(functools.partial(_filled, where=padding, garbage=garbage), at.inputs)
            got = subject.evaluate(case, at._replace(inputs=inputs), flags)
            root = f"case {case}, with {garbage} as padding: "
            compare(got.values, want.values, 0.0, root, ENGINE, REPORT)
            compare(floats(got.gradients), floats(want.gradients), 0.0, root + "a gradient", ENGINE, REPORT)
        for path, leaf in jax.tree.leaves_with_path(want.gradients.inputs):
            if is_float(leaf) and leaf[padding].any():
                raise LawBroken(f"case {case}: padding has a gradient in {name_of(path, 'inputs')}")
        if want.values.outputs[padding].any():
            raise LawBroken(f"case {case}: an output after the end of its sequence is not zero")


def _filled(leaf: np.ndarray, where: np.ndarray, garbage: float) -> np.ndarray:
    if is_float(leaf):
        fill: Any = garbage
    elif leaf.dtype == bool:
        fill = ~leaf
    else:
        fill = np.iinfo(leaf.dtype).max // 3
    return np.where(np.expand_dims(where, tuple(range(2, leaf.ndim))), fill, leaf).astype(leaf.dtype)


@law()
def a_sequence_of_length_zero_is_its_carry(subject: Subject) -> None:
    """A sequence of no steps hands its carry on untouched, and its outputs are zero."""
    for case in subject.cases(*RAGGED):
        at, flags = subject.arguments(), subject.ragged()
        (empty,) = np.flatnonzero(flags.lengths == 0)
        got = subject.evaluate(case, at, flags)
        of_empty = lambda tree, empty=empty: jax.tree.map(lambda a: a[empty], tree)
        compare(of_empty(got.values.carry), of_empty(at.carry), 0.0, f"case {case}: carry", ENGINE, REPORT)
        if got.values.outputs[:, empty].any():
            raise LawBroken(f"case {case}: an output of the empty sequence is not zero", ENGINE, REPORT)
        only_outputs = subject.evaluate(case, at, flags._replace(carry_weight=0.0)).gradients
        if any(leaf[empty].any() for leaf in floats(only_outputs.carry)):
            raise LawBroken(f"case {case}: outputs have a gradient to the empty sequence's carry", ENGINE, REPORT)


@law()
def a_reset_equals_a_fresh_run(subject: Subject) -> None:
    """A reset before a step is a run that starts at that step, and no gradient crosses it."""
    (case,) = subject.cases("ragged")[:1]
    at, time, reverse = subject.arguments(), subject.time, CASES[case][0].reverse
    start = time // 2
    after, before = (np.s_[: start + 1], np.s_[start + 1 :]) if reverse else (np.s_[start:], np.s_[:start])
    resets = np.zeros((time, BATCH), bool)
    resets[start] = True
    flags = subject.whole()._replace(resets=resets)
    got = subject.evaluate(case, at, flags)
    part = lambda where: jax.tree.map(lambda a: a[where], at.inputs)
    fresh = subject.loop(at._replace(inputs=part(after), carry=at.fresh_carry), reverse=reverse)
    old = subject.loop(at._replace(inputs=part(before)), reverse=reverse)
    cause, move = "initial_carry or the step gives the carry a meaning that a reset does not restore", ""
    for root, ours, want in (
        ("outputs from the reset on", got.values.outputs[after], fresh.outputs),
        ("outputs before the reset", got.values.outputs[before], old.outputs),
        ("the last carry", got.values.carry, fresh.carry),
    ):
        compare(ours, want, subject.tolerance, root, cause, move)
    late = np.zeros((time, BATCH))
    late[start - 3 if reverse else start + 3] = 1.0
    gradients = subject.evaluate(case, at, flags._replace(outputs_weight=late, carry_weight=0.0)).gradients
    if any(leaf[before].any() for leaf in floats(gradients.inputs)) or any(
        leaf.any() for leaf in floats(gradients.carry)
    ):
        raise LawBroken("a gradient crosses the reset, to inputs before it or to the first carry")


@law()
def a_reset_without_a_fresh_carry_restores_the_cells_own(subject: Subject) -> None:
    """A reset restores the cell's ``initial_carry`` where no other carry is given."""
    at, flags, start = subject.arguments(), subject.whole(), subject.time // 2
    resets = np.zeros((subject.time, BATCH), bool)
    resets[start] = True
    own = subject.own_carry(at)
    got = eager(subject, at._replace(carry=own, fresh_carry=None), flags._replace(resets=resets))
    rest = jax.tree.map(lambda a: a[start:], at.inputs)
    want = subject.loop(at._replace(inputs=rest, carry=own))
    compare(got.outputs[start:], want.outputs, subject.tolerance, "outputs from the reset on", "", "")


def eager(subject: Subject, at: Arguments, flags: Flags) -> Values:
    """``seqjax.scan`` called as a person calls it, with XLA's own options; one program for all laws."""
    options = {"lengths": flags.lengths, "resets": flags.resets, "fresh_carry": at.fresh_carry}
    return on_host(Values(*scan(subject.cell, at.params, at.inputs, at.carry, **options)))


@law()
def causality(subject: Subject) -> None:
    """An output depends on its own sequence's steps up to its own, and on something that is carried, only."""
    for case in subject.cases("plain", "checkpoint", *RAGGED):
        _check_causality(subject, case, subject.time // 2 - 1, 3)


def _check_causality(subject: Subject, case: str, t: int, b: int) -> None:
    (settings, ragged), at = CASES[case], subject.arguments()
    weight = np.zeros((subject.time, BATCH))
    weight[t, b] = 1.0
    flags = subject.flags(case)._replace(outputs_weight=weight, carry_weight=0.0)
    if ragged:
        flags = flags._replace(resets=flags.resets & (np.arange(BATCH) != b))
    future, earlier = (np.s_[:t], t + 1) if settings.reverse else (np.s_[t + 1 :], t - 1)
    base = subject.evaluate(case, at, flags)
    here = f"case {case}: the output of step {t}, sequence {b}"
    for path, leaf in jax.tree.leaves_with_path(base.gradients.inputs):
        if is_float(leaf) and leaf[future].any():
            raise LawBroken(f"{here} has a gradient to {name_of(path, 'inputs')} of a later step")
        if is_float(leaf) and np.delete(leaf, b, axis=1).any():
            raise LawBroken(f"{here} has a gradient to {name_of(path, 'inputs')} of another sequence", _MIXES, _RIGHT)

    # Whole numbers and masks have no gradient: other inputs must not be seen there, and must be seen elsewhere.
    other = subject.arguments(seed=1).inputs

    def changes(*where: Any) -> bool:
        inputs = jax.tree.map(lambda a, o: _replaced(a, o, where), at.inputs, other)
        got = subject.evaluate(case, at._replace(inputs=inputs), flags).values.outputs
        return difference(got[t, b], base.values.outputs[t, b]) is not None

    if changes(future, b):
        raise LawBroken(f"{here} changes with the inputs of later steps")
    if changes(np.s_[:], [index for index in range(BATCH) if index != b]):
        raise LawBroken(f"{here} changes with the inputs of other sequences", _MIXES, _RIGHT)
    if not changes(t, b):
        raise LawBroken(f"{here} does not change with the inputs of that step", "the step does not read its inputs")
    if not changes(earlier, b):
        raise LawBroken(
            f"{here} does not change with the inputs of the step before: nothing is carried",
            "the step returns the carry that it got, or does not read it",
        )


def _replaced(leaf: np.ndarray, other: np.ndarray, where: Any) -> np.ndarray:
    leaf = leaf.copy()
    leaf[where] = other[where]
    return leaf


@law()
def reverse_equals_flip(subject: Subject) -> None:
    """``reverse=True`` is the flipped sequence, with the outputs flipped back."""
    at, case = subject.arguments(), "ragged-reverse"
    flipped = at._replace(inputs=jax.tree.map(lambda a: a[::-1], at.inputs))
    got = subject.evaluate(case, at, subject.whole()).values
    want = subject.evaluate("plain", flipped).values if subject.full else subject.loop(flipped)
    compare(got.outputs, want.outputs[::-1], subject.tolerance, "outputs", "", "")
    compare(got.carry, want.carry, subject.tolerance, "carry", "", "")


@law()
def two_chunks_equal_the_whole(subject: Subject) -> None:
    """A sequence may be cut anywhere, if the carry is handed on."""
    at, flags, cut = subject.arguments(), subject.ragged(), subject.time // 2 + 2
    cause = "something that the next step needs is not in the carry"
    for case in subject.cases("ragged", "ragged-reverse"):
        settings = CASES[case][0]
        want, carry, outputs = subject.evaluate(case, at, flags).values, at.carry, []
        for piece in (slice(cut), slice(cut, None))[:: -1 if settings.reverse else 1]:
            got = _piece(subject, case, at._replace(carry=carry), flags, piece)
            carry = got.carry
            outputs.append(got.outputs)
        whole = np.concatenate(outputs[:: -1 if settings.reverse else 1])
        compare(whole, want.outputs, subject.tolerance, f"case {case}: outputs", cause, "put it into the carry")
        compare(carry, want.carry, subject.tolerance, f"case {case}: carry", cause, "put it into the carry")


def _piece(subject: Subject, case: str, at: Arguments, flags: Flags, piece: slice) -> Values:
    inputs = jax.tree.map(lambda a: a[piece], at.inputs)
    steps = jax.tree.leaves(inputs)[0].shape[0]
    lengths, resets = np.clip(flags.lengths - (piece.start or 0), 0, steps), flags.resets[piece]
    if subject.full:
        return subject.values(CASES[case][0], at._replace(inputs=inputs), Flags(lengths, resets))
    # Padded to the length of the whole the piece runs in the program that is there.
    padded = lambda a: np.concatenate([a, np.zeros_like(a, shape=(subject.time - steps, *a.shape[1:]))])
    at = at._replace(inputs=jax.tree.map(padded, inputs))
    got = subject.evaluate(case, at, subject.whole()._replace(lengths=lengths, resets=padded(resets))).values
    return got._replace(outputs=got.outputs[:steps])


@law()
def any_leading_batch_shape(subject: Subject) -> None:
    """A batch may have several axes, or none."""
    at, flags, square = subject.arguments(), subject.ragged(), (BATCH // 2, 2)
    to_square = lambda tree, axis: jax.tree.map(
        lambda a: a.reshape(*a.shape[:axis], *square, *a.shape[axis + 1 :]), tree
    )
    of_square = Arguments(at.params, to_square(at.carry, 0), to_square(at.inputs, 1), to_square(at.fresh_carry, 0))
    square_flags = Flags(to_square(flags.lengths, 0), to_square(flags.resets, 1), np.ones((subject.time, *square)))
    if subject.full:
        got = subject.evaluate("ragged", of_square, square_flags, return_carries=False).values
    else:
        got = subject.values(Settings(), of_square, square_flags)
    want = subject.loop(at, flags)
    move = "count axes of the step from the right (axis=-1), and begin every new array with inputs.shape[:-1]"
    cause = "the step takes its features or its batch from an axis counted from the left"
    root = f"with the batch as {list(square)}: "
    compare(got.carry, to_square(want.carry, 0), subject.tolerance, root + "carry", cause, move)
    compare(got.outputs, to_square(want.outputs, 1), subject.tolerance, root + "outputs", cause, move)
    first = lambda tree, axis: jax.tree.map(lambda a: np.take(a, 0, axis) if isinstance(a, np.ndarray) else a[0], tree)
    alone = Arguments(at.params, first(at.carry, 0), first(at.inputs, 1), None)
    got, want = subject.values(Settings(), alone), subject.loop(at)
    compare(got.carry, first(want.carry, 0), subject.tolerance, "with no batch axis: carry", cause, move)
    compare(got.outputs, first(want.outputs, 1), subject.tolerance, "with no batch axis: outputs", cause, move)
