"""Every way of running a cell over time gives what the Python loop gives, with the same gradients, in every type."""

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.laws.registry import LawBroken, law
from seqjax.laws.subject import (
    CASES,
    Everything,
    Subject,
    compiled_run,
    compiled_run_with_gradients,
    run_with_gradients,
)
from seqjax.laws.trees import converted, difference, floats, is_float, name_of, with_floats

ALL = ("plain", "checkpoint", "ragged", "ragged-reverse", "ragged-reverse-checkpoint")
ENGINE = "the time engine places an operation of this step wrongly, unless the step itself is not pure"
REPORT = "run the step with seqjax.scan(..., mode='lax'), and report the cell to the authors of seqjax"


@law()
def scan_equals_the_python_loop(subject: Subject) -> None:
    """``seqjax.scan`` in every mode gives what one step after the other gives."""
    for case in subject.cases(*ALL):
        settings, at, flags = CASES[case][0], subject.arguments(), subject.flags(case)
        want = subject.loop(at, flags, settings.reverse)
        for mode, checkpoint in (("auto", settings.checkpoint), ("lax", None)):
            got = subject.evaluate(case, mode=mode, checkpoint=checkpoint).values
            compare(
                got,
                want if settings.return_carries else want._replace(carries=None),
                subject.tolerance,
                f"case {case}, mode {mode}: ",
                ENGINE,
                REPORT,
            )


@law()
def gradients_equal_those_of_the_plain_scan(subject: Subject) -> None:
    """The engine's gradients are those of ``jax.lax.scan`` of the step, and they are finite."""
    for case in subject.cases(*ALL):
        got, want = subject.evaluate(case), subject.evaluate(case, mode="lax", checkpoint=None)
        for path, leaf in jax.tree.leaves_with_path(want.gradients):
            if is_float(leaf) and not np.isfinite(leaf).all():
                raise LawBroken(
                    f"case {case}: the gradient to {name_of(path)} is not finite, of the plain scan too",
                    "a root, a norm, a logarithm or a division at a place where it has no derivative; jnp.where does "
                    "not help, as the branch that is not taken has a gradient too",
                    "make the argument safe before the function: jnp.where(x > 0, x, 1) inside, jnp.where outside",
                )
        compare_gradients(got, want, subject.tolerance, f"case {case}: ", ENGINE, REPORT)
        compare(got.values, want.values, subject.tolerance, f"case {case}: ", ENGINE, REPORT)


@law()
def gradients_reach_every_leaf(subject: Subject) -> None:
    """Every floating parameter, carry and input has a gradient, so that the laws would notice a wrong one."""
    case = subject.cases("ragged")[0]
    gradients = subject.evaluate(case, mode="lax").gradients
    for path, leaf in jax.tree.leaves_with_path(gradients):
        if is_float(leaf) and leaf.size and not np.abs(leaf).max() > 1e-5:
            raise LawBroken(
                f"the largest gradient to {name_of(path)} is {np.abs(leaf).max():.2g}, expected more than 1e-05",
                "the step does not use it, or only behind a stop_gradient, a rounding or a comparison",
                'if that is meant, declare it: law_exceptions = {"gradients_reach_every_leaf": "the reason in words"}',
            )


@law()
def gradients_equal_finite_differences(subject: Subject) -> None:
    """In float64 the engine's gradients are those that small differences of the arguments give."""
    subject = subject if not subject.full else Float64(subject)
    with jax.enable_x64(True):
        for case in subject.cases("ragged", "ragged-reverse-checkpoint"):
            at, step, rng = subject.arguments(), 1e-6, np.random.default_rng(7)
            gradients = subject.evaluate(case, at).gradients
            for index, name in enumerate(at._fields):
                values, slopes = floats(at[index]), floats(gradients[index])
                if not values:
                    continue
                direction = [rng.standard_normal(leaf.shape) for leaf in values]
                up, down = (
                    float(
                        subject.evaluate(
                            case,
                            at._replace(
                                **{
                                    name: with_floats(
                                        at[index], [v + sign * step * d for v, d in zip(values, direction)]
                                    )
                                }
                            ),
                        ).loss
                    )
                    for sign in (1, -1)
                )
                slope = float(sum(np.vdot(g, d).real for g, d in zip(slopes, direction)))
                size = sum(float(np.linalg.norm(g) * np.linalg.norm(d)) for g, d in zip(slopes, direction))
                want = (up - down) / (2 * step)
                if not abs(slope - want) <= 1e-6 * max(1.0, size):
                    raise LawBroken(
                        f"case {case}: the loss rises along a random direction of {name} by {slope:.8g} according to "
                        f"the gradient, but by {want:.8g} according to differences",
                        "a derivative rule of the step (jax.custom_jvp, custom_vjp, stop_gradient) is not the "
                        "function's own, or the function jumps here",
                        "if that is meant, as in a straight-through estimator, declare it in law_exceptions",
                    )


class Float64(Subject):
    """A full subject's cases in float64."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject.cell, full=subject.full)
        self.dtype = np.dtype(np.float64)


@law()
def any_number_of_time_steps(subject: Subject) -> None:
    """No step at all, one step and many give what the Python loop gives."""
    wanted = [(0, "ragged"), (0, "ragged-reverse-checkpoint"), (1, "ragged"), (131, "ragged"), (331, "ragged-reverse")]
    for time, case in wanted if subject.full else [(0, "ragged"), (1, "ragged")]:
        at, flags, settings = subject.arguments(time), subject.ragged(time), CASES[case][0]
        if not subject.full:
            got = subject.values(settings, at, flags)
        else:
            everything = subject.evaluate(case, at, flags)
            got = everything.values
            if time:
                want = subject.evaluate(case, at, flags, mode="lax")
                compare_gradients(everything, want, subject.tolerance, f"{time} steps: ", ENGINE, REPORT)
            elif any(leaf.any() for leaf in floats(everything.gradients.params)):
                raise LawBroken("without any step the gradient to params is not zero")
            elif not all(leaf.all() for leaf in floats(everything.gradients.carry)):
                raise LawBroken("without any step the carry's gradient is not that of the last carry")
        if got.outputs.shape != (time, *flags.lengths.shape, *subject.cell.output_shape):
            raise LawBroken(f"{time} steps give outputs of shape {list(got.outputs.shape)}")
        if time == 0:
            compare(got.carry, at.carry, 0.0, "no steps: carry", ENGINE, REPORT)
        else:
            want = subject.loop(at, flags, settings.reverse)
            compare(got, want, subject.tolerance, f"{time} steps: ", ENGINE, REPORT)


@law()
def bfloat16_in_bfloat16_out(subject: Subject) -> None:
    """In bfloat16 everything comes out in bfloat16, and no further from exact than the plain scan's rounding."""
    case = subject.cases("plain")[0]
    settings, flags = CASES[case][0], subject.flags(case)
    cell, half = subject.cell, converted(subject.arguments(), jnp.bfloat16)
    exact = converted(half, subject.dtype)
    if subject.full:
        runs = [compiled_run_with_gradients(cell, settings._replace(mode=m), half, flags) for m in ("auto", "lax")]
        want = subject.evaluate(case, exact, mode="lax")
        trees = [(each.values, floats(each.gradients)) for each in (*runs, want)]
    else:
        plain_flags = flags._replace(outputs_weight=None, carry_weight=None)
        trees = [compiled_run(cell, settings._replace(mode=m), half, plain_flags) for m in ("auto", "lax")]
        trees.append(subject.evaluate(case, exact, mode="lax").values)
    typed = jax.eval_shape(lambda at: run_with_gradients(cell, settings, at, flags)[1:], half)
    for path, leaf in jax.tree.leaves_with_path(typed):
        if is_float(leaf) and leaf.dtype != jnp.bfloat16:
            raise LawBroken(
                f"{name_of(path)} is {leaf.dtype}, expected bfloat16 as everything that goes in",
                "a constant array of float32 promotes smaller types (Python's numbers do not)",
                "write constants as plain numbers or with dtype=...",
            )
    for ours, theirs, want in zip(*map(floats, trees), strict=True):
        error, allowed = (np.linalg.norm((np.asarray(a, np.float64) - want).ravel()) for a in (ours, theirs))
        if not error <= 1.5 * allowed + 0.01 * np.linalg.norm(np.asarray(want, np.float64).ravel()):
            raise LawBroken(
                f"in bfloat16 the engine's result is {error:.3g} from exact, the plain scan's {allowed:.3g}",
                ENGINE,
                REPORT,
            )


def compare(got: object, want: object, tolerance: float, root: str, cause: str, move: str) -> None:
    """Raise what differs, if anything does."""
    words = difference(got, want, tolerance, root)
    if words:
        raise LawBroken(words.replace(": .", ": ", 1).replace("gradient to .", "gradient to "), cause, move)


def compare_gradients(got: Everything, want: Everything, tolerance: float, root: str, cause: str, move: str) -> None:
    """The same for the gradients to floating leaves."""
    compare(got.gradients, want.gradients, tolerance, root + "gradient to ", cause, move)
