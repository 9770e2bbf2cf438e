"""The backward pass of a step, as another step that the same plan sorts.

Back-propagation through time is itself a recurrence: its carry is the cotangent of the carry, and it runs the other
way. So the derivative of a step is traced to a step, with

    carry     d new_carry  ->  d carry
    inputs    the saved values of that time step, its inputs, and the cotangents of its outputs
    outputs   the cotangents of the inputs, and what the parameters' gradients are made of,

and sorted like any other. What needs no cotangent of the carry (the gates and their derivatives, say) is computed for
a chunk of time at once before the reverse loop; what the carry's cotangent does not need (the cotangents of the inputs)
comes after it. In the loop remain some multiplications and one product.

The gradient of a kernel never enters the loop. Every product of a moving operand with a fixed one is tapped: its
cotangents of all steps, beside its moving operands, are what one contraction over time needs; a bias is the sum of
cotangents, and goes with them (see :mod:`seqjax.engine.contractions`). The other parameters' gradients (peepholes, say)
are outputs of every step, summed over time; only where such a parameter is much larger
than the carry, and stacking its gradient over a chunk of time would cost memory, is the sum part of the reverse carry.

How saved values enter: the forward step is evaluated under ``jax.vjp`` as if every one of its values were saved, with
the saved value in the place of the computed one (:func:`_recall`), so that all that was only needed to compute it is
dead and drops out. Of what the derivative then reads, some is saved (see :mod:`seqjax.engine.saved`) and the rest
computed again by the step's own equations.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn, Literal, Var

from seqjax.engine.contractions import Contraction, Product, contract
from seqjax.engine.equations import (
    Atom,
    Step,
    aval,
    bind,
    bytes_of,
    evaluate,
    is_inexact,
    live,
    read,
    read_by,
    shape_of,
    trace,
    variables,
)
from seqjax.engine.fold import fold_coefficients
from seqjax.engine.plan import Plan, fixed_operand, make_plan, merge_products, split_once, stays_in_loop
from seqjax.engine.platform import Choices
from seqjax.engine.saved import values_to_save
from seqjax.engine.varying import zeros_like_varying

# A parameter outside products whose gradient is at most this many times the carry is stacked over a chunk, then summed.
_STACK_AT_MOST = 4


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Gradient:
    """The backward pass of a step: what to save, the backward plan, and how its outputs are laid out."""

    recalled: list[Var]
    """Values of the forward step that the backward step reads."""
    one_later: dict[Var, Var]
    """Those of them that are the carry before the step, and the new carry, which is the same one step later."""
    accumulated: list[Var]
    """Parameters whose gradient is summed in the reverse carry."""
    summed: list[Var]
    """Parameters whose gradient is an output of every step, summed over time."""
    carry: list[int]
    """Which leaves of the carry have a derivative; likewise of the inputs and the outputs."""
    inputs: list[int]
    outputs: list[int]
    contractions: list[Contraction]
    """What makes the gradients of parameters in products."""
    once: list[JaxprEqn]
    traced: Step
    frontier: list[Var]
    plan: Plan

    @property
    def saved(self) -> list[Var]:
        """What is kept of every step: enough for all that is recalled."""
        return list(dict.fromkeys(self.one_later.get(v, v) for v in self.recalled))

    def frontier_values(self, params: Sequence[Any]) -> list[Any]:
        """The values of the ``once`` stage that the backward plan reads."""
        environment = self.traced.environment(params)
        evaluate(self.once, environment)
        return [environment[v] for v in self.frontier]

    def split_outputs(self, outputs: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        """Cotangents of ``summed`` and of the inputs; what is contracted; and the products' moving operands."""
        ends = [len(self.summed), len(self.inputs), len(self.contractions)]
        a, b, c = ends[0], ends[0] + ends[1], sum(ends)
        return list(outputs[:a]), list(outputs[a:b]), list(outputs[b:c]), list(outputs[c:])


@jax.custom_jvp
def _recall(computed: Any, saved: Any) -> Any:
    """The saved value, with the derivative of the computed one."""
    del computed
    return saved


_recall.defjvp(lambda primals, tangents: (primals[1], tangents[0]))


@jax.custom_jvp
def _tap(value: Any, probe: Any) -> Any:
    """The value; the cotangent that reaches it also reaches the probe."""
    del probe
    return value


_tap.defjvp(lambda primals, tangents: (primals[0], lax.add(tangents[0], tangents[1])))


def make_gradient(step: Step, time_steps: int, choices: Choices) -> Gradient:
    """Trace and plan the backward pass of a step whose ``once`` stage has been split off."""
    fixed = set(step.params)
    positions = [(e, fixed_operand(e, fixed)) for e in step.equations]
    products = [Product(equation=e, position=p) for e, p in positions if p is not None and e.invars[p] in fixed]
    tapped = {id(p.equation): p for p in products}
    elsewhere = set(
        variables(
            [
                *(v for e in step.equations if id(e) not in tapped for v in e.invars),
                *step.new_carry,
                *step.outputs,
            ]
        )
    )
    plain = [v for v in step.params if v in elsewhere and is_inexact(v)]
    carry_size = sum(aval(v).size for v in step.carry)
    accumulated = [v for v in plain if aval(v).size > _STACK_AT_MOST * max(carry_size, 1)]
    summed = [v for v in plain if v not in set(accumulated)]

    computed = [v for e in step.equations for v in e.outvars]
    everything = [*step.carry, *computed]
    draft = _trace_backward(step, everything, products, accumulated, summed)
    _, needed = _needed(draft)
    required = {v for v, given in zip(everything, draft.inputs, strict=False) if given in needed}
    # The carry before a step is the new carry of the step before it: one of the two is enough, and none where it is an
    # output of the step anyway.
    one_later = {v: new for v, new in zip(step.carry, step.new_carry, strict=True) if new in computed}
    there_anyway = set(variables(step.outputs))
    there_anyway |= {v for v, new in one_later.items() if new in there_anyway}
    there_anyway |= {new for v, new in one_later.items() if v in required}
    activations_from = choices.activations_from * choices.batch_blocks
    to_save = functools.partial(values_to_save, step, required, there_anyway, activations_from=activations_from)
    recalled = to_save()
    kept = time_steps * sum(bytes_of(v) for v in recalled if v not in there_anyway)
    if kept > choices.keep_below:
        recalled = to_save(operations_per_byte=choices.recompute_below * kept / max(choices.keep_below, 1))
    # The new carry is kept where the carry is recalled: what reads it need not compute it again.
    recalled = list(dict.fromkeys([*recalled, *(one_later[v] for v in recalled if v in one_later)]))
    traced, recalled = _compute_again(draft, step, everything, recalled)
    traced = merge_products(fold_coefficients(traced))
    traced, contracted, summed = contract(traced, products, summed, choices)
    once, frontier, body = split_once(traced)
    return Gradient(
        recalled=recalled,
        one_later={v: one_later[v] for v in recalled if v in one_later},
        accumulated=accumulated,
        summed=summed,
        contractions=contracted,
        carry=_inexact(step.carry),
        inputs=_inexact(step.inputs),
        outputs=_inexact(step.outputs),
        once=once,
        traced=traced,
        frontier=frontier,
        plan=make_plan(body),
    )


def _inexact(atoms: Sequence[Any]) -> list[int]:
    return [i for i, atom in enumerate(atoms) if is_inexact(atom)]


def _needed(step: Step) -> tuple[list[JaxprEqn], set[Var]]:
    """The equations that a step's results depend on, and all that these and the results read."""
    wanted = [*step.new_carry, *step.outputs]
    equations = live(step.equations, wanted)
    return equations, set(read_by(equations, wanted))


def _trace_backward(
    step: Step, everything: list[Var], products: list[Product], accumulated: list[Var], summed: list[Var]
) -> Step:
    """The backward step that is given ``everything``, the carry and all that the forward step computes.

    Its inputs are ``[*everything, *inputs, *cotangents of outputs]``.
    """
    carry_index, input_index, output_index = map(_inexact, (step.carry, step.inputs, step.outputs))
    tapped = {id(p.equation): p for p in products}

    def backward(params: list, state: list, inputs: list) -> list:
        ends = (len(everything), len(everything) + len(step.inputs))
        stored = dict(zip(everything, inputs[: ends[0]], strict=True))
        carry, step_inputs, output_cotangents = inputs[: len(step.carry)], inputs[slice(*ends)], inputs[ends[1] :]
        carry_cotangents, sums = state[: len(carry_index)], state[len(carry_index) :]
        fixed = step.environment(params)
        plain = [*accumulated, *summed]

        def forward(plain_values: list, carry_values: list, input_values: list, probes: list) -> tuple[list, list]:
            environment = {**fixed, **dict(zip(plain, plain_values, strict=True))}
            environment.update(zip(step.carry, carry, strict=True))
            environment.update(zip(step.inputs, step_inputs, strict=True))
            environment.update({step.carry[i]: v for i, v in zip(carry_index, carry_values, strict=True)})
            environment.update({step.inputs[i]: v for i, v in zip(input_index, input_values, strict=True)})
            probe = dict(zip((id(p.equation) for p in products), probes, strict=True))
            moving = []
            for equation in step.equations:
                values = [read(environment, atom) for atom in equation.invars]
                if id(equation) in tapped:
                    product = tapped[id(equation)]
                    moving.append(values[1 - product.position])
                    value = product(moving[-1], fixed[product.parameter])
                    results = [_tap(value, probe[id(equation)])]
                else:
                    results = bind(equation, values)
                for v, result in zip(equation.outvars, results, strict=True):
                    environment[v] = _recall(result, stored[v]) if is_inexact(v) else stored[v]
            finals = [step.new_carry[i] for i in carry_index] + [step.outputs[i] for i in output_index]
            return [lax.convert_element_type(read(environment, v), aval(v).dtype) for v in finals], moving

        probes = [zeros_like_varying(aval(p.equation.outvars[0]), [*params, *state, *inputs]) for p in products]
        _, pull_back, moving = jax.vjp(
            forward,
            [fixed[v] for v in plain],
            [carry[i] for i in carry_index],
            [step_inputs[i] for i in input_index],
            probes,
            has_aux=True,
        )
        d_plain, d_carry, d_inputs, d_products = pull_back([*carry_cotangents, *output_cotangents])
        sums = [a + d.astype(a.dtype) for a, d in zip(sums, d_plain[: len(accumulated)], strict=True)]
        return [*d_carry, *sums, *d_plain[len(accumulated) :], *d_inputs, *d_products, *moving]

    state = [shape_of(step.carry[i]) for i in carry_index] + [accumulator(v) for v in accumulated]
    inputs = [shape_of(v) for v in [*everything, *step.inputs]]
    inputs += [shape_of(step.outputs[i]) for i in output_index]
    traced = trace(backward, [shape_of(v) for v in step.params], state, inputs)
    return _read_stored(traced, step, everything)


def _compute_again(draft: Step, step: Step, everything: list[Var], recalled: list[Var]) -> tuple[Step, list[Var]]:
    """The backward step that is given ``recalled``, and computes again what else of ``everything`` it reads.

    Returns:
        It, with the inputs ``[*recalled, *inputs, *cotangents of outputs]``, and those of ``recalled`` that it reads.
    """
    # What the variables of the forward step are in the backward step.
    forward = dict(zip([*step.params, *everything, *step.inputs], [*draft.params, *draft.inputs], strict=False))
    swap = lambda atoms: [forward.get(v, v) if isinstance(v, Var) else v for v in atoms]
    again = []
    for equation in step.equations:
        # Of a result that is given the variable is taken: here it gets one that nothing reads.
        results = [v if v in recalled else forward[v] for v in equation.outvars]
        again.append(equation.replace(invars=swap(equation.invars), outvars=results))
    constants = {**draft.constants, **step.constants}
    whole = dataclasses.replace(draft, equations=[*again, *draft.equations], constants=constants)
    equations, needed = _needed(whole)
    if not needed.isdisjoint(forward[v] for v in step.carry if v not in recalled):
        raise AssertionError("the backward pass needs a carry that is not saved; please report this step")
    recalled = [v for v in recalled if forward[v] in needed]
    inputs = [*swap(recalled), *draft.inputs[len(everything) :]]
    return dataclasses.replace(whole, equations=equations, inputs=inputs), recalled


def _read_stored(backward: Step, step: Step, everything: list[Var]) -> Step:
    """The backward step with every value of the forward step that it computes read from what it is given.

    The derivative of ``tanh(z)`` reads ``tanh(z)``. Where the result is stored, ``z`` need not be.
    """
    # What the variables of the backward step are in the forward step.
    known: dict[Var, Atom] = dict(zip(backward.params, step.params, strict=True))
    known.update(zip(backward.inputs, [*everything, *step.inputs], strict=False))
    stored = dict(zip(everything, backward.inputs, strict=False))
    computed = {_name(e, e.invars): e.outvars for e in step.equations if not stays_in_loop(e)}
    computed.pop(None, None)
    replaced: dict[Var, Var] = {}
    equations = []
    for equation in backward.equations:
        if equation.primitive.name == "reshard" and isinstance(equation.invars[0], Literal):
            # A derivative's constant, where values know of a mesh.
            known[equation.outvars[0]] = equation.invars[0]
        results = computed.get(_name(equation, [known.get(v, v) if isinstance(v, Var) else v for v in equation.invars]))
        for v, original in zip(equation.outvars, results or (), strict=False):
            known[v], replaced[v] = original, stored[original]
        invars = [replaced.get(v, v) if isinstance(v, Var) else v for v in equation.invars]
        equations.append(equation.replace(invars=invars))
    swap = lambda atoms: [replaced.get(v, v) if isinstance(v, Var) else v for v in atoms]
    return dataclasses.replace(
        backward, equations=equations, new_carry=swap(backward.new_carry), outputs=swap(backward.outputs)
    )


def _name(equation: JaxprEqn, operands: Sequence[Any]) -> Any:
    """What is equal for equal computations; ``None`` where that cannot be told."""
    name = (
        equation.primitive,
        tuple(sorted(equation.params.items(), key=lambda item: item[0])),
        tuple((repr(v.val), v.aval) if isinstance(v, Literal) else v for v in operands),
    )
    try:
        hash(name)
    except TypeError:
        return None
    return name


def accumulator(parameter: Any) -> jax.ShapeDtypeStruct:
    """Where a parameter's gradient is summed over time: like the parameter, in at least 32 bits."""
    return shape_of(parameter, dtype=jnp.promote_types(aval(parameter).dtype, jnp.float32))
