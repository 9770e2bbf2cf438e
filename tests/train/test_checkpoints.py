"""Damage of every kind, on checkpoints of a few numbers."""

import json
import shutil

import numpy as np
import pytest

from seqjax.errors import CheckpointError
from seqjax.train.checkpoints import Checkpoints

ARRAYS = {
    # Random bits cannot be compressed, so they lie in the file as they are.
    "kernel": np.random.default_rng(0).integers(0, 2**32, (60, 100), np.uint32),
    "bias": np.zeros(100, np.float32),
    "count": np.array(3, np.int32),
    "nothing": np.zeros((2, 0), np.float32),
}
RECORD = {"position": 3, "vocabulary": "abc"}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    directory = tmp_path_factory.mktemp("saved") / "checkpoints"
    with Checkpoints(directory, keep=2) as checkpoints:
        for step in (10, 20, 30):
            checkpoints.save(step, {**ARRAYS, "count": np.array(step, np.int32)}, RECORD | {"position": step})
    return directory


@pytest.fixture
def directory(pristine, tmp_path):
    return shutil.copytree(pristine, tmp_path / "checkpoints")


def restore(directory, step=None, arrays=ARRAYS, **options):
    with Checkpoints(directory, **options) as checkpoints:
        return checkpoints.restore(arrays, step)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit_of_the_kernel(step):
    values, flipped = ARRAYS["kernel"].tobytes(), 0
    for path in (step / "state").rglob("d/*"):
        content = bytearray(path.read_bytes())
        position = content.find(values[5000:5064])
        if position >= 0:
            content[position] ^= 4
            path.write_bytes(content)
            flipped += 1
    assert flipped


def truncate_arrays(step):
    for path in (step / "state").rglob("d/*"):
        truncate(path)


def change_the_record(step):
    path = step / "record" / "metadata"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "vocabulary": "abd"}))


DAMAGE = {
    "a flipped bit in an array": flip_a_bit_of_the_kernel,
    "a truncated array": truncate_arrays,
    "a truncated manifest": lambda step: truncate(step / "state" / "manifest.ocdbt"),
    "a flipped bit in the manifest": lambda step: flip(step / "state" / "manifest.ocdbt"),
    "no manifest": lambda step: (step / "state" / "manifest.ocdbt").unlink(),
    "truncated metadata": lambda step: truncate(step / "state" / "_METADATA"),
    "no state": lambda step: shutil.rmtree(step / "state"),
    "a truncated record": lambda step: truncate(step / "record" / "metadata"),
    "another record": change_the_record,
    "no record": lambda step: shutil.rmtree(step / "record"),
}


def test_what_was_saved_is_restored(directory, capfd):
    restored = restore(directory)
    assert restored.step == 30
    assert restored.record == RECORD | {"position": 30}
    assert restored.arrays.keys() == ARRAYS.keys()
    for name, array in ({**ARRAYS, "count": np.array(30, np.int32)}).items():
        np.testing.assert_array_equal(restored.arrays[name], array, strict=True)
    assert restore(directory, 20).arrays["count"] == 20
    assert capfd.readouterr() == ("", "")
    # Two are kept.
    with Checkpoints(directory) as checkpoints:
        assert checkpoints.steps() == [20, 30]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_falls_back_with_one_line(directory, damage, capfd):
    DAMAGE[damage](directory / "30")
    restored = restore(directory)
    assert (restored.step, restored.arrays["count"]) == (20, 20)
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith(f"warning: checkpoint {directory / '30'} is damaged (")
    assert err.endswith("using the one before, of step 20\n")
    # The next checkpoint of that step has room.
    with Checkpoints(directory) as checkpoints:
        checkpoints.save(30, ARRAYS, RECORD)
    assert restore(directory).step == 30
    assert (directory.parent / "damaged-checkpoints" / "30-0").is_dir()


def test_reading_moves_nothing(directory):
    DAMAGE["a flipped bit in an array"](directory / "30")
    assert restore(directory, read_only=True).step == 20
    assert (directory / "30").is_dir()


def test_nothing_left_is_an_error(directory, capfd):
    flip_a_bit_of_the_kernel(directory / "30")
    truncate(directory / "20" / "record" / "metadata")
    with pytest.raises(CheckpointError, match="is whole; start the run again"):
        restore(directory)
    assert len(capfd.readouterr().err.splitlines()) == 2


def test_a_damaged_checkpoint_that_was_asked_for_is_an_error(directory):
    flip_a_bit_of_the_kernel(directory / "30")
    with pytest.raises(CheckpointError, match=r"30 is damaged \(the values of kernel are .*; try those of steps 20"):
        restore(directory, 30)


def test_no_checkpoint_at_all_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        restore(tmp_path / "checkpoints")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"kernel": np.zeros((60, 200), np.uint32)},
            r"kernel: saved uint32\[60, 100\], the model has uint32\[60, 200\];",
        ),
        ({"bias": np.zeros(100, np.float16)}, r"bias: saved float32\[100\], the model has float16\[100\];"),
        ({"extra": np.zeros(3, np.float32)}, r"extra: not saved, the model has float32\[3\];"),
        ({"count": None}, r"count: saved int32\[\], the model has no such leaf;"),
        ({"bias": np.zeros(1, np.float32), "count": None}, r"bias: .*\(and 1 other leaves\)"),
    ],
)
def test_another_model_names_the_leaf_and_falls_back_to_nothing(directory, changes, message, capfd):
    arrays = {name: array for name, array in {**ARRAYS, **changes}.items() if array is not None}
    with pytest.raises(CheckpointError, match=message):
        restore(directory, arrays=arrays)
    assert capfd.readouterr().err == ""
