"""The command: its options, its messages, and the text, JSON and picture that it makes."""

import json
import subprocess
import sys

import pytest

from seqjax.bench import table
from seqjax.bench.settings import Settings, Shape, parse_shape
from seqjax.errors import ConfigError
from tests.bench.test_arithmetic import measurement, report

TINY = ["--cells", "Elman", "--shapes", "5,2,3,4", "--rounds", "2", "--warmup", "0"]


class TestNames:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--cells", "LSTN"], "there is no cell 'LSTN'; did you mean 'LSTM'?"),
            (["--passes", "train"], "there is no pass 'train'; did you mean 'training'?"),
            (["--peers", "lax", "toch"], "there is no peer 'toch'; did you mean 'torch'?"),
            (
                ["--shapes", "d"],
                "there is no shape 'd'; did you mean 'D'?; "
                "sizes of your own are written time,batch,inputs,hidden, as in 35,20,200,200",
            ),
            (
                ["--shapes", "1,2,0,4"],
                "a shape is four positive whole numbers, time,batch,inputs,hidden, as in 35,20,200,200; got '1,2,0,4'",
            ),
            (["--checkpoint", "qrt"], "a checkpoint schedule is sqrt or a number of time steps, got 'qrt'"),
            (["--rounds", "1"], "rounds must be at least 2, or there is no spread to see, got 1"),
            (["--memory", "--passes", "forward"], "--memory is about training steps; leave out --passes"),
            (["--json", "nowhere/x.json"], "--json: there is no directory nowhere; make it first"),
            (["--plot", "x.gif"], "--plot: a file that ends in .png, .svg or .pdf is expected, got x.gif"),
            (["--pers", "lax"], "seqjax bench has no option --pers; did you mean '--peers'?"),
        ],
    )
    def test_one_message_and_exit_code_2(self, run, options, message):
        assert run("bench", *options) == (2, "", f"error: {message}\n")

    def test_as_a_library(self):
        with pytest.raises(ConfigError, match="there is no peer 'nxx'; did you mean 'nnx'"):
            Settings(peers=["nxx"])
        with pytest.raises(ConfigError, match="warmup must not be negative, got -1"):
            Settings(warmup=-1)
        with pytest.raises(ConfigError, match="a checkpoint schedule is sqrt or a number of time steps, got 0"):
            Settings(checkpoints=[0])

    def test_shapes_by_name_and_by_sizes(self):
        assert parse_shape("E") == Shape("E", 784, 64, 1, 128)
        assert parse_shape("7,6,5,4") == Shape("7,6,5,4", 7, 6, 5, 4)

    def test_help_and_errors_need_no_jax(self):
        program = (
            "import contextlib, io, sys\n"
            "from seqjax.cli import main\n"
            "for line in (['bench', '--help'], ['bench', '--peers', 'toch'], ['bench', '--shapes', 'G']):\n"
            "    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
            "        with contextlib.suppress(SystemExit): main(line)\n"
            "print(*sorted({'jax', 'flax', 'torch', 'keras', 'matplotlib'} & set(sys.modules)))\n"
        )
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert result.stdout == "\n"


class TestRun:
    def test_text_json_and_picture(self, run, tmp_path):
        pytest.importorskip("matplotlib")
        data, picture = tmp_path / "bench.json", tmp_path / "bench.png"
        code, out, error = run("bench", *TINY, "--peers", "lax", "--json", data, "--plot", picture)
        assert (code, error) == (0, "")
        assert "Elman forward, T=5 B=2 3 -> 4: " in out
        assert "Elman training, T=5 B=2 3 -> 4: " in out
        assert "transparent huge pages: " in out
        names = [row["name"] for m in json.loads(data.read_text())["measurements"] for row in m["rows"]]
        assert names == ["seqjax", "lax"] * 2
        assert picture.read_bytes().startswith(b"\x89PNG")

    def test_memory(self, run):
        code, out, _ = run("bench", "--memory", *TINY, "--peers", "lax", "torch")
        assert code == 0
        lines = out.partition("memory of Elman training, T=5 B=2 3 -> 4\n")[2].splitlines()
        assert lines[0].split("  ")[-1] == "time of seqjax"
        assert [line.partition("  ")[0] for line in lines[1:]] == ["seqjax", "seqjax sqrt", "lax"]


class TestText:
    slower = measurement({"seqjax": [2e-3, 2e-3], "lax": [1e-3, 1e-3], "nnx": [6e-3, 6e-3]})
    faster = measurement({"seqjax": [1e-3, 1e-3], "lax": [8e-3, 8e-3]}, shape=Shape("3,1,1,1", 3, 1, 1, 1))

    def test_slower_is_marked(self):
        ours, lax, nnx = (line.split() for line in table.measurement(self.slower).splitlines()[2:])
        assert ours[:4] == ["seqjax", "2", "2", "2-2"]
        assert lax[:6] == ["lax", "1", "1", "1-1", "0.50*", "0.50-0.50"]
        assert nnx[:6] == ["nnx", "6", "6", "6-6", "3.00", "3.00-3.00"]

    def test_unsteady_times_are_marked(self):
        unsteady = measurement({"seqjax": [2e-3] * 3, "lax": [1e-3, 3e-3, 9e-3], "nnx": [1e-3, 2e-3, 3e-3]})
        lines = table.measurement(unsteady).splitlines()
        assert lines[3].split()[4] == "1.50?"
        assert lines[4].split()[4] == "1.00"
        assert lines[5] == "lax was unsteady: a quarter of its times lie below 2 ms and a quarter above 6 ms"
        means = table.summary(report(unsteady, self.slower)).splitlines()[-1].split()
        assert means == ["geometric", "mean", "0.87*?", "1.73"]

    def test_shapes_side_by_side_with_their_geometric_mean(self):
        lines = table.summary(report(self.slower, self.faster)).splitlines()[2:]
        assert [line.split() for line in lines] == [
            ["LSTM", "forward", "lax", "nnx"],
            ["D", "0.50*", "3.00"],
            ["T=3", "B=1", "1", "->", "1", "8.00", "-"],
            ["geometric", "mean", "2.00", "3.00"],
        ]
