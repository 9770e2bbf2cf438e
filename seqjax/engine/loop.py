"""The loop of a plan: how it reads, and where it writes.

What a step computes is little; how XLA's CPU compiler brings its operands and stores its results is much of its time.

*   Reading. The compiler fuses the fetching of a step's inputs into the elementwise work that reads them. Where that
    work is on parts of them, one gate after the other, it does not vectorise what comes of it. A call that it may not
    inline keeps them apart: they arrive in buffers of their own, and the same work takes up to half the time less.
*   Writing. A scan fills the arrays that it will write with zeros, in memory that is new to the process. A value of the
    shape of one that was computed before the loop, for the loop alone, is written over it instead, step by step: the
    preactivations over the inputs' products, say. In the compiled program, the read must come before the write, or XLA
    copies the whole array at every step; so it does where the read is in that call, and what is written needs
    something of that call.
*   Chunks. The loop of a chunk of time writes results straight to where they stay, and not to an array of the chunk
    that is then copied.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import JaxprEqn, Var

from seqjax.engine.equations import Atom, Environment, aval, bytes_of, dependent, in_own_call, read, variables
from seqjax.engine.flops import operations
from seqjax.engine.loop_products import evaluate_loop, layouts
from seqjax.engine.plan import Plan
from seqjax.engine.platform import Choices
from seqjax.engine.program import typed_like


class Loop:
    """The loop of a plan, for ``fixed`` values that are the same at every step.

    Attributes:
        chunk_length: how many steps to take at once.
        packs: which of the plan's inputs of the loop are read together: each one alone, or small ones side by side.
        apart: positions of the packs that are fetched in a call of their own.
        written_over: for what is written over a pack, the position of that pack.
        stored: what the loop of a chunk writes to an array over all time; nothing where all steps are one chunk.
    """

    def __init__(
        self,
        plan: Plan,
        fixed: Environment,
        time_steps: int,
        choices: Choices,
        results: Sequence[Atom] = (),
        recalled: Sequence[Var] = (),
    ) -> None:
        """Choose how to run it.

        Args:
            plan: what is run.
            fixed: see the class.
            time_steps: how many.
            choices: how a plan is run here.
            results: what is kept of every step, to the end.
            recalled: of a backward pass what the forward pass has kept of every step.
        """
        self.plan = plan
        self.fixed = fixed
        self.layouts = layouts(plan, fixed, time_steps, choices)
        self.packs = _packs(plan.loop_inputs, choices.pack_below)
        kept = set(variables(results)) - set(plan.after_inputs)
        in_parts = _read_in_parts(plan.loop)
        apart = [i for i, pack in enumerate(self.packs) if len(pack) > 1 or pack[0] in in_parts]
        apart = apart if choices.fetch_apart else []
        emitted = plan.emitted if choices.write_over else []
        self.stored: list[Var] = []
        self.apart, self.written_over = self._write_over(emitted, apart)
        # What is kept to the end, and what that is written over, does not get smaller with chunks.
        stays = sum(bytes_of(v) for v in [*plan.emitted, *self.written_over] if v in kept)
        multiplied = sum(map(operations, plan.loop)) if recalled else 0
        beside = sum(map(bytes_of, recalled))
        self.chunk_length = choices.chunk_length(time_steps, plan.bytes_per_step - stays, multiplied, beside)
        if self.chunk_length < time_steps:
            self.chunk_length = choices.chunk_length(time_steps, plan.bytes_per_step)
            self.stored = [
                v for v in plan.emitted if v in kept and not jnp.issubdtype(aval(v).dtype, jax.dtypes.extended)
            ]
            emitted = [v for v in emitted if v not in self.stored]
            self.apart, self.written_over = self._write_over(emitted, apart)

    def _write_over(self, emitted: Sequence[Var], apart: list[int]) -> tuple[list[int], dict[Var, int]]:
        """What is then fetched apart, beside ``apart``, and which of the packs each is written over, if any."""
        plan = self.plan
        written_over: dict[Var, int] = {}
        dead = set(plan.before_results) - {*plan.after_inputs, *variables(plan.outputs)}
        free = [i for i, pack in enumerate(self.packs) if len(pack) == 1 and pack[0] in dead]
        for v in emitted:
            for i in free:
                [w] = self.packs[i]
                fetched = sorted({*apart, i})
                if aval(v).strip_weak_type() == aval(w).strip_weak_type() and v in self._need(fetched):
                    written_over[v], apart = i, fetched
                    free.remove(i)
                    break
        return apart, written_over

    def _need(self, apart: Sequence[int]) -> set[Var]:
        """What of the loop needs something that comes from the call that fetches these packs."""
        return dependent(self.plan.loop, [v for i in apart for v in self.packs[i]])

    def run(
        self,
        carry: list,
        stacked: Mapping[Var, jax.Array],
        time_steps: int,
        reverse: bool,
        stores: list[jax.Array],
        start: Any,
    ) -> tuple[list, dict[Var, jax.Array], list[jax.Array]]:
        """Run some time steps.

        Args:
            carry: before the first of them.
            stacked: the loop's inputs, stacked over time.
            time_steps: how many.
            reverse: from the last to the first.
            stores: arrays over all time, one of each value in :attr:`stored`.
            start: the time of the first of these steps there.

        Returns:
            The carry after them, what the loop emits, stacked over time, and the stores.
        """
        plan, step = self.plan, self.plan.step
        members = [[stacked[v] for v in pack] for pack in self.packs]
        arrays = [jnp.concatenate(pack, -1) if len(pack) > 1 else pack[0] for pack in members]
        direct = [i for i in range(len(arrays)) if i not in self.apart]
        stacking = [v for v in plan.emitted if v not in self.written_over and v not in self.stored]

        def one_step(state: tuple, values: list) -> tuple[tuple, list]:
            carry, written, stores, time = state
            now = dict(enumerate(arrays)) | dict(zip(self.written_over.values(), written, strict=True))
            fetched = dict(zip(direct, values, strict=True))
            if self.apart:
                fetched.update(zip(self.apart, in_own_call(_fetch, [now[i] for i in self.apart], time), strict=True))
            environment = {**self.fixed, **dict(zip(step.carry, carry, strict=True))}
            for i, pack in enumerate(self.packs):
                sizes = [aval(v).shape[-1] for v in pack] if len(pack) > 1 else []
                parts = lax.split(fetched[i], sizes, fetched[i].ndim - 1) if sizes else [fetched[i]]
                environment.update(zip(pack, parts, strict=True))
            evaluate_loop(plan.loop, environment, self.layouts)
            new_carry = [typed_like(read(environment, v), c) for v, c in zip(step.new_carry, carry, strict=True)]
            write = functools.partial(lax.dynamic_update_index_in_dim, axis=0, allow_negative_indices=False)
            written = [write(now[i], environment[v], time) for v, i in self.written_over.items()]
            stores = [write(a, environment[v], start + time) for v, a in zip(self.stored, stores, strict=True)]
            return (new_carry, written, stores, time + one), [environment[v] for v in stacking]

        first, one = jnp.int32(time_steps - 1 if reverse else 0), jnp.int32(-1 if reverse else 1)
        state = (carry, [arrays[i] for i in self.written_over.values()], stores, first)
        (carry, written, stores, _), stacks = lax.scan(
            one_step, state, [arrays[i] for i in direct], length=time_steps, reverse=reverse
        )
        emitted = dict(zip(self.written_over, written, strict=True)) | dict(zip(stacking, stacks, strict=True))
        return carry, emitted, stores


@jax.jit
def _fetch(arrays: list[jax.Array], time: jax.Array) -> list[jax.Array]:
    starts = lambda a: (time, *[jnp.zeros_like(time)] * (a.ndim - 1))
    fetch = lambda a: lax.dynamic_slice(a, starts(a), (1, *a.shape[1:]), allow_negative_indices=False)
    return [lax.squeeze(fetch(a), (0,)) for a in arrays]


def _packs(values: Sequence[Var], pack_below: int) -> list[list[Var]]:
    """The values, those that may lie side by side together."""
    groups: dict[Any, list[Var]] = {}
    for index, v in enumerate(values):
        small = aval(v).ndim > 0 and bytes_of(v) <= pack_below
        groups.setdefault((aval(v).shape[:-1], aval(v).dtype) if small else index, []).append(v)
    return list(groups.values())


def _read_in_parts(equations: Sequence[JaxprEqn]) -> set[Var]:
    """What is split, and what is added, multiplied and the like to what is split."""
    in_parts: set[Var] = set()
    for equation in reversed(equations):
        name = equation.primitive.name
        makes_part = not in_parts.isdisjoint(equation.outvars) and name not in ("dot_general", "concatenate")
        if name in ("split", "slice") or makes_part:
            in_parts.update(variables(equation.invars))
    return in_parts
