"""What the plan makes of a step: which products are in the loop, what is kept, what moves out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax
from seqjax.cells import GRU, LSTM, NAS, Elman, Jordan
from seqjax.engine.platform import Choices, force
from seqjax.engine.program import Program
from tests.trees import assert_trees_close

TIME, BATCH, FEATURES, HIDDEN = 96, 2, 3, 4
shape = lambda *sizes: jax.ShapeDtypeStruct(sizes, jnp.float32)


def loop_products(function, *arguments):
    """How many products each innermost time loop of the traced function holds, one entry a loop."""
    counts = []

    def walk(jaxpr):
        products = sum(e.primitive.name == "dot_general" for e in jaxpr.eqns)
        loops = 0
        for equation in jaxpr.eqns:
            for value in equation.params.values():
                inner = getattr(value, "jaxpr", value)
                if not hasattr(inner, "eqns"):
                    continue
                inner_products, inner_loops = walk(inner)
                if equation.primitive.name == "scan":
                    loops += 1 + inner_loops
                    if inner_loops == 0:
                        counts.append(inner_products)
                else:
                    products, loops = products + inner_products, loops + inner_loops
        return products, loops

    walk(jax.make_jaxpr(function)(*arguments).jaxpr)
    return counts


def lstm_by_gate(params, carry, inputs):
    """The LSTM as papers write it: one matrix and one bias a gate."""
    hidden, cell = carry
    gate = lambda name: inputs @ params["W"][name] + hidden @ params["U"][name] + params["b"][name]
    i, f, o = (jax.nn.sigmoid(gate(name)) for name in "ifo")
    cell = f * cell + i * jnp.tanh(gate("g"))
    hidden = o * jnp.tanh(cell)
    return (hidden, cell), hidden


def by_gate_arguments():
    draw = iter(jax.random.split(jax.random.key(0), 16))
    matrices = lambda rows: {g: jax.random.normal(next(draw), (rows, HIDDEN)) / 2 for g in "ifgo"}
    params = {"W": matrices(FEATURES), "U": matrices(HIDDEN), "b": {g: jnp.full(HIDDEN, 0.1) for g in "ifgo"}}
    zeros = jnp.zeros((BATCH, HIDDEN))
    return params, jax.random.normal(next(draw), (TIME, BATCH, FEATURES)), (zeros, zeros)


def cell_arguments(cell):
    params = cell.init(jax.random.key(0))
    return params, jax.random.normal(jax.random.key(1), (TIME, BATCH, FEATURES)), cell.initial_carry((BATCH,))


CASES = {
    "LSTM": (LSTM(input_size=FEATURES, hidden_size=HIDDEN), 1, 1),
    "LSTM by gate": (lstm_by_gate, 1, 1),
    "GRU after": (GRU(input_size=FEATURES, hidden_size=HIDDEN), 1, 1),
    "GRU before": (GRU(input_size=FEATURES, hidden_size=HIDDEN, reset="before"), 2, 2),
    "Elman": (Elman(input_size=FEATURES, hidden_size=HIDDEN), 1, 1),
    "Jordan": (Jordan(input_size=FEATURES, hidden_size=HIDDEN), 2, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_products_in_the_loops_are_what_the_mathematics_needs(name):
    step, forward, backward = CASES[name]
    params, inputs, carry = by_gate_arguments() if step is lstm_by_gate else cell_arguments(step)
    run = lambda p, x, c: seqjax.scan(step, p, x, c)
    assert set(loop_products(run, params, inputs, carry)) == {forward}
    loss = lambda p, x, c: jnp.sum(seqjax.scan(step, p, x, c)[1] ** 2)
    both = loop_products(jax.grad(loss, argnums=(0, 1, 2)), params, inputs, carry)
    assert set(both) == {forward, backward}
    plan = seqjax.explain(step, params, inputs, carry)
    assert (plan.products_in_loop, plan.products_in_backward_loop) == (forward, backward)


def test_the_counter_sees_the_products_of_a_plain_scan():
    cell = CASES["LSTM"][0]
    params, inputs, carry = cell_arguments(cell)
    assert loop_products(lambda p, x, c: seqjax.scan(cell, p, x, c, mode="lax"), params, inputs, carry) == [2]


def test_lstm_keeps_preactivations_cell_and_hidden_state_only():
    cell = CASES["LSTM"][0]
    plan = seqjax.explain(cell, batch_size=BATCH, length=TIME)
    assert sorted(plan.saved) == [f"float32[{BATCH}, {4 * HIDDEN}]", *[f"float32[{BATCH}, {HIDDEN}]"] * 2]
    assert plan.saved_bytes == TIME * 6 * BATCH * HIDDEN * 4


def backward_plan(name):
    cell = CASES[name][0]
    return Program(cell, *(cell_arguments(cell)[i] for i in (0, 2, 1)), reverse=False).gradient.plan


def test_the_backward_loop_of_a_gru_multiplies_and_takes_one_product():
    plan = backward_plan("GRU after")
    names = [e.primitive.name for e in plan.loop]
    assert set(names) == {"add", "add_any", "mul", "concatenate", "dot_general"}
    # Three derivatives, and the update gate.
    assert names.count("mul") == 4
    [product] = [e for e in plan.loop if e.primitive.name == "dot_general"]
    assert product.params["dimension_numbers"][0] == ((1,), (0,)), "the kernel is transposed once, outside the loop"


def test_the_backward_loop_of_an_lstm_is_given_its_activations():
    """Five derivatives and the forget gate would be as much to read; so it computes the derivatives itself."""
    plan = backward_plan("LSTM")
    names = lambda equations: {e.primitive.name for e in equations}
    assert names(plan.before) == {"add", "split", "logistic", "tanh"}
    # Of these the newest JAX has one operation for the derivative of tanh.
    assert names(plan.loop) - {"one_minus_square"} == {"add", "add_any", "sub", "mul", "concatenate", "dot_general"}
    assert len(plan.before_results) == 5
    # The activations, the cell before, and the cotangent of the output.
    assert len(plan.loop_inputs) == 7


def test_a_product_is_kept_with_its_bias():
    """The GRU's recurrent product, of which a part is added to a bias before the reset gate multiplies it."""
    cell = CASES["GRU after"][0]
    program = Program(cell, *(cell_arguments(cell)[i] for i in (0, 2, 1)), reverse=False)
    [made] = [
        e
        for e in program.body.equations
        if e.outvars[0] in program.gradient.saved
        and e.primitive.name == "add"
        and any(v in program.body.params for v in e.invars)
    ]
    [product] = [v for v in made.invars if v not in program.body.params]
    assert product not in program.gradient.saved


def test_a_derivative_that_the_loop_writes_its_result_over_is_made_before_it():
    plan = backward_plan("Elman")
    [derivative] = plan.before_results
    assert derivative in plan.loop_inputs
    assert [e.primitive.name for e in plan.loop] == ["add_any", "mul", "dot_general"]


def test_the_bias_of_a_split_product_is_left_to_the_loop():
    """It makes one pass less over the inputs' products, and the loop reads no more."""
    cell = CASES["GRU after"][0]
    program = Program(cell, *(cell_arguments(cell)[i] for i in (0, 2, 1)), reverse=False)
    assert [e.primitive.name for e in program.saving_plan.before] == ["dot_general"]
    assert [e.primitive.name for e in program.saving_plan.loop][:2] == ["add", "split"]


def test_an_activation_is_kept_for_what_goes_into_it_alone():
    """The GRU's candidate for its part of the inputs' product, which it goes into with the rest of the candidate."""
    cell = CASES["GRU after"][0]
    program = Program(cell, *(cell_arguments(cell)[i] for i in (0, 2, 1)), reverse=False)
    kept = [e.primitive.name for v in program.gradient.saved for e in program.body.equations if v in e.outvars]
    assert sorted(kept) == ["add", "add", "add", "add", "tanh"]
    assert "tanh" not in [e.primitive.name for e in program.gradient.plan.before]


def test_large_gates_are_kept_and_small_ones_computed_again():
    """They need the carry: the loop computes each in a kernel of its own for it, which pays from some size on."""
    cell, logistic = CASES["GRU after"][0], {}
    size = BATCH * HIDDEN * 4
    for smallest in (size, size + 1):
        choices = Choices(activations_from=smallest)
        program = Program(cell, *(cell_arguments(cell)[i] for i in (0, 2, 1)), reverse=False, choices=choices)
        count = lambda equations: [e.primitive.name for e in equations].count("logistic")
        kept = [e for v in program.gradient.saved for e in program.body.equations if v in e.outvars]
        logistic[smallest] = count(kept), count(program.gradient.plan.before)
    assert logistic == {size: (2, 0), size + 1: (0, 2)}


def test_the_backward_pass_of_nas_does_with_its_activations():
    """Some derivatives of its activations read what goes into them, in a form that the forward step does not have."""
    cell = NAS(input_size=FEATURES, hidden_size=HIDDEN)
    loss = lambda mode: lambda *values: jnp.sum(seqjax.scan(cell, *values, mode=mode)[1] ** 2)
    with force(Choices(activations_from=0)):
        got = jax.jit(jax.grad(loss("auto"), argnums=(0, 1)))(*cell_arguments(cell))
    assert_trees_close(got, jax.jit(jax.grad(loss("lax"), argnums=(0, 1)))(*cell_arguments(cell)), 1e-5)


def test_the_backward_step_computes_nothing_twice():
    """The derivative of the update gate's sigmoid is ``z (1 - z)``, and the step itself computes ``1 - z``."""
    cell = CASES["GRU after"][0]
    gradient = Program(cell, *(cell_arguments(cell)[i] for i in (0, 2, 1)), reverse=False).gradient
    computed = [(e.primitive, str(e.params), *map(str, e.invars)) for e in gradient.traced.equations]
    assert len(computed) == len(set(computed))


def test_what_can_be_computed_again_is_not_handed_on():
    def step(carry, inputs):
        [kept] = carry
        scaled, shifted = kept * inputs, kept + inputs
        return [jnp.tanh(scaled + shifted)], (kept, scaled, shifted, jnp.exp(scaled) * kept)

    carry, inputs = [jnp.full(BATCH, 0.5, jnp.float32)], jnp.linspace(-1, 1, TIME * BATCH).reshape(TIME, BATCH)
    plan = Program(lambda params, carry, inputs: step(carry, inputs), [], carry, inputs, reverse=False).plan
    assert plan.emitted == plan.step.carry
    assert sorted(e.primitive.name for e in plan.after) == ["add", "exp", "mul", "mul"]
    assert_trees_close(
        seqjax.scan(lambda params, carry, inputs: step(carry, inputs), [], inputs, carry),
        jax.lax.scan(step, carry, inputs),
        1e-6,
    )


def test_what_is_split_or_put_together_crosses_the_border_of_the_loop_as_a_whole():
    cell = CASES["GRU after"][0]
    program = Program(cell, *(cell_arguments(cell)[i] for i in (0, 2, 1)), reverse=False)
    sizes = lambda values: sorted(v.aval.shape[-1] for v in values)
    assert sizes(program.plan.loop_inputs) == [3 * HIDDEN]
    # What the cotangents of both products are multiples of.
    assert sizes(program.gradient.plan.emitted) == [HIDDEN]
    # Two products; the recurrent bias is added to a part of one.
    assert [len(c.biases) for c in program.gradient.contractions] == [1, 1]


def chain(params, carry, inputs):
    """Every operation that is folded, on both sides of the carry."""
    [carry] = carry
    scaled = (-(carry * inputs) / (1 + inputs**2) - 0.5 * carry + carry * params * jnp.cos(inputs)) * inputs
    return [jnp.tanh(scaled) + 0.1 * carry], scaled * carry


def sums(params, carry, inputs):
    """Sums of several values of the carry, read once and more than once."""
    a, b = carry
    often = a * inputs + b * jnp.sin(inputs) - a
    once = often - b * params - 0.2 * a
    return [jnp.tanh(once) + often * inputs, 0.5 * a - often], often * jnp.cos(inputs) - b


@pytest.mark.parametrize(("step", "size"), [(chain, 1), (sums, 2)], ids=["chain", "sums"])
def test_folded_derivatives_are_exact(step, size):
    params, inputs = jnp.linspace(0.5, 1, HIDDEN), jax.random.normal(jax.random.key(0), (TIME, BATCH, HIDDEN)) / 2

    def gradients(mode):
        def loss(params, inputs, carry):
            carry, outputs = seqjax.scan(step, params, inputs, carry, mode=mode)
            return jnp.sum(jnp.sin(outputs)) + sum(jnp.sum(leaf**2) for leaf in carry)

        return jax.grad(loss, argnums=(0, 1, 2))(params, inputs, [jnp.full((BATCH, HIDDEN), 0.3)] * size)

    assert_trees_close(gradients("auto"), gradients("lax"), 1e-5)


def test_parameters_are_prepared_once_and_outputs_read_after_the_loop():
    def step(params, carry, inputs):
        kernel = jnp.tanh(params["kernel"])
        carry = jnp.tanh(inputs + carry @ kernel)
        return carry, jax.nn.softmax(carry @ params["head"])

    params = {"kernel": shape(HIDDEN, HIDDEN), "head": shape(HIDDEN, 7)}
    plan = seqjax.explain(step, params, shape(TIME, BATCH, HIDDEN), shape(BATCH, HIDDEN))
    stages = {stage.name: stage for stage in plan.forward}
    assert stages["once"].equations == 1
    assert len(stages["in the loop"].products) == 1
    assert stages["after the loop"].products == (f"[{BATCH}, {HIDDEN}] x [{HIDDEN}, 7]",)


def test_products_with_the_parameter_on_the_left_are_merged_too():
    def step(params, carry, inputs):
        a, b = params["a"] @ carry, params["b"] @ carry
        return jnp.tanh(a + inputs) * jax.nn.sigmoid(b), carry

    params = {"a": shape(HIDDEN, HIDDEN), "b": shape(HIDDEN, HIDDEN)}
    plan = seqjax.explain(step, params, shape(TIME, HIDDEN), shape(HIDDEN))
    assert (plan.products_in_loop, plan.products_in_backward_loop) == (1, 1)


@pytest.mark.parametrize("control", ["cond", "fori_loop", "scan"])
def test_control_flow_stays_in_the_loop(control):
    def step(params, carry, inputs):
        if control == "cond":
            change = jax.lax.cond(inputs.sum() > 0, lambda x: x * 2, lambda x: x - 1, inputs)
        elif control == "fori_loop":
            change = jax.lax.fori_loop(0, 3, lambda i, x: x * params, inputs)
        else:
            change = jax.lax.scan(lambda c, x: (c + x, None), jnp.zeros(()), inputs)[0]
        return jnp.tanh(carry + change), carry

    program = Program(step, shape(), shape(HIDDEN), shape(TIME, HIDDEN), reverse=False)
    names = lambda equations: {e.primitive.name for e in equations}
    assert names(program.plan.loop) & {"cond", "while", "scan"}
    assert not names(program.plan.before) & {"cond", "while", "scan"}


def test_random_numbers_that_depend_on_their_shape_stay_in_the_loop():
    def step(params, carry, key):
        return carry + jax.random.normal(key, carry.shape), carry

    for implementation, stays in (("threefry2x32", False), ("rbg", True)):
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0, impl=implementation), TIME))  # noqa: B023
        program = Program(step, (), shape(HIDDEN), keys, reverse=False)
        in_loop = {e.primitive.name for e in program.plan.loop}
        assert ("random_bits" in in_loop) == stays


def test_a_print_in_the_step_is_printed_at_every_step_in_order(capfd):
    def step(params, carry, inputs):
        jax.debug.print("step {x}", x=inputs, ordered=True)
        return carry + inputs, carry

    seqjax.scan(step, (), jnp.arange(3), jnp.zeros((), jnp.int32))
    jax.effects_barrier()
    assert capfd.readouterr().out.split("\n")[:3] == ["step 0", "step 1", "step 2"]


def test_a_large_parameter_outside_products_is_not_stacked_over_time():
    def step(params, carry, inputs):
        return jnp.tanh(carry + inputs + (params * params[0]).sum() * inputs), carry

    def traced(mode):
        def loss(params, inputs):
            return seqjax.scan(step, params, inputs, jnp.zeros(2), mode=mode)[1].sum()

        return jax.grad(loss)

    params, inputs = jnp.linspace(0.01, 0.02, 1000), jnp.linspace(-1, 1, 2 * TIME).reshape(TIME, 2)
    program = Program(lambda p, c, x: (jnp.tanh(c + (p * x[0]).sum() + x), c), params, jnp.zeros(2), inputs, False)
    assert len(program.gradient.accumulated) == 1
    np.testing.assert_allclose(traced("auto")(params, inputs), traced("lax")(params, inputs), rtol=1e-4, atol=1e-6)


def brute_force_structure(step, params, carry, inputs):
    """Which blocks of the Jacobian are zero, diagonal or neither, from numbers."""
    jacobian = jax.jacfwd(lambda carry: step(params, carry, inputs)[0])(carry)
    rows = [jax.tree.leaves(row) for row in jacobian]

    def name(block):
        size = int(np.sqrt(block.size))
        block = np.asarray(block).reshape(size, size)
        if not block.any():
            return "none"
        return "diagonal" if not (block - np.diag(np.diag(block))).any() else "full"

    return tuple(tuple(name(block) for block in row) for row in rows)


@pytest.mark.parametrize("name", ["LSTM", "GRU after", "GRU before", "Elman", "Jordan"])
def test_structure_of_the_carry_jacobian(name):
    cell = CASES[name][0]
    params = cell.init(jax.random.key(0))
    carry = jax.tree.map(lambda a: a + 0.3, cell.initial_carry(()))
    expected = brute_force_structure(cell, params, carry, jnp.ones(FEATURES))
    assert seqjax.explain(cell).structure == expected


@pytest.mark.parametrize(
    ("step", "structure", "affine"),
    [
        (lambda p, c, x: (jax.nn.sigmoid(x) * c + x, c), "diagonal", True),
        (lambda p, c, x: (jax.nn.relu(p * c + x), c), "diagonal", False),
        (lambda p, c, x: (jnp.where(x > 0, c, 2 * c) / p, c), "diagonal", True),
        (lambda p, c, x: (jnp.where(c > 0, c, 2 * c), c), "diagonal", False),
        (lambda p, c, x: (c * c, c), "diagonal", False),
        (lambda p, c, x: (x * p, c), "none", True),
        (lambda p, c, x: (jnp.roll(c, 1) + x, c), "full", True),
        (lambda p, c, x: (c @ jnp.outer(p, p) + x, c), "full", True),
        (
            lambda p, c, x: (jnp.einsum("hi,hij->hj", c.reshape(2, 2), jnp.ones((2, 2, 2))).reshape(4), c),
            "full",
            True,
        ),
    ],
)
def test_structure_and_affinity_of_small_steps(step, structure, affine):
    plan = seqjax.explain(step, shape(4), shape(TIME, 4), shape(4))
    assert plan.structure == ((structure,),)
    assert plan.affine == affine


def test_explain_says_what_it_needs_of_a_function():
    with pytest.raises(ValueError, match="is a function; pass its params, inputs"):
        seqjax.explain(lstm_by_gate)


def test_explanation_reads_as_text():
    text = str(seqjax.explain(LSTM(input_size=64, hidden_size=128)))
    assert "in the loop          1   [32, 128] x [128, 512]" in text
    assert "affine in the carry: no" in text
    assert "2 x float32[32, 128], 1 x float32[32, 512]" in text


def test_forward_mode_names_the_way_out():
    cell = CASES["Elman"][0]
    params, inputs, _ = cell_arguments(cell)
    loss = lambda p: seqjax.scan(cell, p, inputs)[1].sum()
    for attempt in (
        lambda: jax.jvp(loss, (params,), (params,)),
        lambda: jax.jit(lambda p: jax.jvp(loss, (p,), (p,)))(params),
        lambda: jax.jacfwd(loss)(params),
        lambda: jax.jacfwd(jax.jit(loss))(params),
        lambda: jax.linearize(loss, params)[1](params),
    ):
        with pytest.raises(TypeError, match='pass mode="lax"'):
            attempt()


def test_memory_of_the_backward_pass_grows_as_the_square_root_of_time():
    cell = LSTM(input_size=8, hidden_size=16)
    params = jax.eval_shape(cell.init, jax.random.key(0))

    def temporary_bytes(time_steps, checkpoint):
        # One output a sequence: outputs and their cotangents are not part of what checkpointing can save.
        def loss(params, key):
            inputs = jax.random.normal(key, (1, 8))
            carry, _ = seqjax.scan(
                lambda p, c, i: cell(p, c, inputs * i), params, jnp.linspace(0, 1, time_steps),
                cell.initial_carry((1,)), checkpoint=checkpoint,
            )  # fmt: skip
            return carry.hidden.sum()

        compiled = jax.jit(jax.grad(loss)).lower(params, jax.eval_shape(jax.random.key, 0)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    plain = [temporary_bytes(t, None) for t in (1024, 4096)]
    square_root = [temporary_bytes(t, "sqrt") for t in (1024, 4096)]
    assert plain[1] - plain[0] > 3000 * 6 * 16 * 4
    assert square_root[1] < 3 * square_root[0]
    assert square_root[1] < plain[1] / 5
