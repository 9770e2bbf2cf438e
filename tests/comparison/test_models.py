"""Models of equal size, and the baseline against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.comparison import ConvolutionModel, RecurrentModel, model_of_size, parameter_count
from seqjax.data import make_task
from seqjax.errors import ConfigError
from tests.trees import assert_trees_close

NAMES = ("LSTM", "GRU", "Elman", "Jordan", "convolution")


@pytest.mark.parametrize("task", ["adding", "copy"])
def test_all_models_have_about_as_many_parameters(task):
    counts = {name: parameter_count(model_of_size(name, make_task(task), 5000)) for name in NAMES}
    assert max(abs(count - 5000) for count in counts.values()) <= 0.06 * 5000, counts


@pytest.mark.parametrize("name", NAMES)
def test_no_other_size_is_nearer(name):
    task = make_task("parity")
    model = model_of_size(name, task, 700)
    distance = abs(parameter_count(model) - 700)
    for width in range(1, 60):
        if name == "convolution":
            assert isinstance(model, ConvolutionModel)
            other = ConvolutionModel(features=2, output_size=2, channels=width, layers=model.layers)
        else:
            assert isinstance(model, RecurrentModel)
            cell = type(model.cell)(input_size=2, hidden_size=width)
            other = RecurrentModel(cell=cell, output_size=2)
        assert abs(parameter_count(other) - 700) >= distance


def test_the_count_is_that_of_what_is_drawn():
    model = model_of_size("GRU", make_task("recall"), 2000)
    params = model.init(jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == parameter_count(model)


def test_the_convolution_sees_the_whole_past_and_no_future():
    task = make_task("parity", length=13)
    model = model_of_size("convolution", task, 500)
    assert isinstance(model, ConvolutionModel)
    assert (
        model.receptive_field
        >= 13
        > ConvolutionModel(features=2, output_size=2, channels=1, layers=model.layers - 1).receptive_field
    )
    # Nothing is negative, so no rectifier is off.
    params = jax.tree.map(lambda a: jnp.abs(a) + 0.1, model.init(jax.random.key(0)))
    inputs = jnp.ones((13, 1, 2))
    slopes = jax.jacobian(lambda x: model(params, x)[:, 0].sum(-1))(inputs)
    sees = np.abs(slopes).sum((2, 3)) > 0
    assert not np.triu(sees, 1).any()
    assert np.tril(sees).sum() == 13 * 14 / 2


def test_the_convolution_is_the_library_s():
    model = ConvolutionModel(features=3, output_size=2, channels=4, layers=2, kernel_size=2)
    params = jax.tree.map(lambda a: a + 0.1, model.init(jax.random.key(0)))
    inputs = jax.random.normal(jax.random.key(1), (9, 2, 3))
    x = inputs @ params.input_kernel
    for layer, dilation in enumerate((1, 2)):
        # A convolution's last tap is the present.
        kernel = params.kernels[layer, ::-1]
        y = jax.lax.conv_general_dilated(
            x, kernel, (1,), [(dilation, 0)], rhs_dilation=(dilation,), dimension_numbers=("WNC", "WIO", "WNC")
        )
        x = x + jax.nn.relu(y + params.biases[layer])
    want = x @ params.kernel + params.bias
    assert_trees_close(model(params, inputs), want, 1e-5)


def test_what_cannot_be_compared_says_why():
    task = make_task("parity")
    with pytest.raises(ConfigError, match=r"there is no cell 'LSTN'; did you mean 'LSTM'"):
        model_of_size("LSTN", task, 100)
    with pytest.raises(ConfigError, match=r"ConvLSTM cannot be compared: it reads \(4, 4, 2\) and writes \(4, 4, 2\)"):
        model_of_size("ConvLSTM", task, 100)


def test_recurrent_models_start_without_bias():
    params = model_of_size("Elman", make_task("parity"), 100).init(jax.random.key(0))
    assert not jnp.any(params.bias)
