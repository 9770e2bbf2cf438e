"""A batch over two devices: the shares, the gradients, and what cannot be split."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import cells, parallel, scan


def test_each_device_has_its_share():
    mesh = parallel.batch_mesh()
    assert (mesh.axis_names, mesh.size) == (("batch",), 2)
    inputs, labels = np.arange(24.0, dtype=np.float32).reshape(2, 4, 3), np.arange(4)
    split_inputs = parallel.split_batch({"inputs": inputs}, mesh, axis=1)["inputs"]
    np.testing.assert_array_equal(split_inputs, inputs)
    for device, half in zip(jax.devices(), (inputs[:, :2], inputs[:, 2:]), strict=True):
        (share,) = [shard.data for shard in split_inputs.addressable_shards if shard.device == device]
        np.testing.assert_array_equal(share, half)
    shares = parallel.split_batch(labels, mesh, axis=-1).addressable_shards
    assert sorted(share.data.tolist() for share in shares) == [[0, 1], [2, 3]]
    whole = parallel.replicate(jax.random.key(0), mesh)
    assert whole.is_fully_replicated
    assert len(whole.sharding.device_set) == 2
    assert parallel.batch_mesh(1).devices.tolist() == [jax.devices()[0]]


@pytest.mark.parametrize("cell_class", [cells.LSTM, cells.GRU, cells.Elman])
def test_gradients_are_those_of_one_device_and_added_once(cell_class):
    cell = cell_class(input_size=3, hidden_size=4)
    params, mesh = cell.init(jax.random.key(0)), parallel.batch_mesh(2)
    inputs = jax.random.normal(jax.random.key(1), (12, 6, 3))
    carry = cell.initial_carry((6,))
    function = jax.jit(
        jax.value_and_grad(lambda params, carry, inputs: jnp.sum(jnp.sin(scan(cell, params, inputs, carry)[1])), (0, 2))
    )
    expected = function(params, carry, inputs)
    arguments = (
        parallel.replicate(params, mesh),
        parallel.split_batch(carry, mesh, axis=0),
        parallel.split_batch(inputs, mesh, axis=1),
    )
    result = function(*arguments)
    jax.tree.map(lambda leaf, other: np.testing.assert_allclose(leaf, other, rtol=1e-5, atol=1e-5), result, expected)
    assert not result[1][1].is_fully_replicated
    computations = str(function.lower(*arguments).compile().as_text()).split("\n\n")
    communicating = [text.strip() for text in computations if re.search(r" (all-|collective-|reduce-scatter)", text)]
    assert [text.split()[0] for text in communicating] == ["ENTRY"]


def test_what_cannot_be_had_or_split():
    mesh = parallel.batch_mesh(2)
    with pytest.raises(ValueError, match=r"got devices=3, but JAX has 2 .*jax_num_cpu_devices', 3\) before"):
        parallel.batch_mesh(3)
    with pytest.raises(ValueError, match="at least one device, got devices=0"):
        parallel.batch_mesh(0)
    with pytest.raises(ValueError, match=r"axis 1 of the leaf \['x'\] of shape \(4, 5\) over 2 devices: 5 is not a"):
        parallel.split_batch({"x": np.zeros((4, 5))}, mesh, axis=1)
    with pytest.raises(ValueError, match=r"axis 1 over 2 devices: shape \(4,\) has no such axis"):
        parallel.split_batch(np.zeros(4), mesh, axis=1)
