"""The command: its options, its messages, and the text, JSON and picture that it makes."""

import json
import os
import subprocess
import sys

import jax
import pytest

from seqjax.bench import table
from seqjax.bench.generation import Text
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
            (["--streaming", "--memory"], "--streaming is about single steps; leave out --memory"),
            (
                ["--streaming", "--shapes", "A"],
                "--streaming is about single steps; a shape is written 1,1,inputs,hidden, got 'A'",
            ),
            (["--json", "nowhere/x.json"], "--json: there is no directory nowhere; make it first"),
            (["--plot", "x.gif"], "--plot: a file that ends in .png, .svg or .pdf is expected, got x.gif"),
            (["--pers", "lax"], "seqjax bench has no option --pers; did you mean '--peers'?"),
        ],
    )
    def test_one_message_and_exit_code_2(self, run, options, message):
        assert run("bench", *options) == (2, "", f"error: {message}\n")

    def test_devices_come_before_jax(self, run):
        assert len(jax.devices()) == 2
        message = "--devices is for a process in which JAX has not run yet; start a new one"
        assert run("bench", *TINY, "--devices", "3") == (1, "", f"error: {message}\n")

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
        assert names == ["seqjax", "seqjax split", "lax"] * 2
        assert picture.read_bytes().startswith(b"\x89PNG")

    def test_memory(self, run):
        code, out, _ = run("bench", "--memory", *TINY, "--peers", "lax", "torch")
        assert code == 0
        lines = out.partition("memory of Elman training, T=5 B=2 3 -> 4\n")[2].splitlines()
        assert lines[0].split("  ")[-1] == "time of seqjax on as many devices"
        names = ["seqjax", "seqjax split", "seqjax sqrt", "seqjax split sqrt", "lax"]
        assert [line.partition("  ")[0] for line in lines[1:]] == names

    def test_streaming(self, run, tmp_path, monkeypatch):
        texts = (Text(batch=2, length=3, vocabulary=5, hidden=4),)
        monkeypatch.setattr("seqjax.bench.streaming.TEXTS", texts)
        data = tmp_path / "streaming.json"
        options = ["--cells", "GRU", "--shapes", "1,1,3,4", "--peers", "lax", "nnx", "--rounds", "2", "--warmup", "0"]
        code, out, error = run("bench", "--streaming", *options, "--json", data)
        assert (code, error) == (0, "")
        lines = out.partition("one step of GRU, batch 1, 3 -> 4\n")[2].splitlines()
        assert lines[0].split() == ["microseconds", "min", "quartiles", "ratio"]
        assert [line.split()[0] for line in lines[1:3]] == ["seqjax", "nnx"]
        assert "writing 3 tokens of 5, batch 2, LSTM of 4 units\n" in out
        assert "seqjax compiled 1 program in all rounds\n" in out
        plain = json.loads(data.read_text())
        assert [row["name"] for row in plain["steps"][0]["rows"]] == ["seqjax", "nnx"]
        assert plain["generation"][0]["compilations"] == 1

    @pytest.mark.parametrize(("options", "devices", "split"), [((), 2, True), (("--devices", "1"), 1, False)])
    def test_devices(self, options, devices, split):
        line = ["bench", *TINY, "--passes", "forward", "--peers", "lax-split", *options]
        program = (
            "import sys, seqjax.cli, seqjax.cli.bench as bench, seqjax.bench.settings as settings\n"
            "bench.available_cores = lambda: 2\n"
            f"sys.exit(seqjax.cli.main({line}))\n"
        )
        unset = {name: text for name, text in os.environ.items() if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
        out = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=unset
        ).stdout
        assert f"JAX devices, for those that split the batch: {devices}\n" in out
        assert ("\nseqjax split " in out, "\nlax-split " in out) == (split, split)
        assert ("\nnot split: JAX has one CPU device; `--devices 2` makes two\n" in out) == (not split)


class TestText:
    slower = measurement({"seqjax": [2e-3, 2e-3], "lax": [1e-3, 1e-3], "nnx": [6e-3, 6e-3]})
    faster = measurement({"seqjax": [1e-3, 1e-3], "lax": [8e-3, 8e-3]}, shape=Shape("3,1,1,1", 3, 1, 1, 1))

    def test_slower_is_marked(self):
        ours, lax, nnx = (line.split() for line in table.measurement(self.slower).splitlines()[2:5])
        assert ours[:4] == ["seqjax", "2", "2", "2-2"]
        assert lax[:6] == ["lax", "1", "1", "1-1", "0.50*", "0.50-0.50"]
        assert nnx[:6] == ["nnx", "6", "6", "6-6", "3.00", "3.00-3.00"]

    def test_unsteady_times_are_marked(self):
        unsteady = measurement({"seqjax": [2e-3] * 3, "lax": [1e-3, 3e-3, 9e-3], "nnx": [1e-3, 2e-3, 3e-3]})
        lines = table.measurement(unsteady).splitlines()
        assert lines[3].split()[4] == "1.50?"
        assert lines[4].split()[4] == "1.00"
        assert lines[5] == "lax was unsteady: a quarter of its times lie below 2 ms and a quarter above 6 ms"
        means = table.summary(report(unsteady, self.slower)).split("\n\n")[1].splitlines()[-1].split()
        # The fastest are nnx, which takes as long, and lax, which takes half the time.
        assert means == ["geometric", "mean", "0.87*?", "1.73", "0.71*"]

    def test_shapes_side_by_side_with_their_geometric_mean(self):
        lines = table.summary(report(self.slower, self.faster)).split("\n\n")[1].splitlines()
        assert [line.split() for line in lines] == [
            ["LSTM", "forward", "lax", "nnx", "fastest", "JAX", "peer"],
            ["D", "0.50*", "3.00", "lax", "0.50*"],
            ["T=3", "B=1", "1", "->", "1", "8.00", "-", "lax", "8.00"],
            ["geometric", "mean", "2.00", "3.00", "2.00"],
        ]

    def test_losses_by_size(self):
        less = measurement({"seqjax": [2e-3] * 2, "lax": [4e-3] * 2, "nnx": [1.8e-3] * 2, "seqjax sqrt": [1e-3] * 2})
        last = table.summary(report(self.faster, less, self.slower)).split("\n\n")[-1].splitlines()
        assert [line.split() for line in last[1:]] == [
            ["LSTM", "forward", "D", "lax", "0.50*"],
            ["LSTM", "forward", "D", "nnx", "0.90*"],
        ]
        assert table.summary(report(self.faster)).endswith("\n\nseqjax is nowhere slower")

    def test_split_and_not_split(self):
        times = {"seqjax": 3e-3, "seqjax split": 2e-3, "lax": 6e-3, "lax-split": 1e-3}
        ours, split, lax, lax_split = (
            line.split()
            for line in table.measurement(measurement({name: [t] * 2 for name, t in times.items()})).splitlines()[2:]
        )
        assert ours[4:6] == ["1.50", "1.50-1.50"]
        assert split[4:6] == ["2-2", "0.67"]
        assert lax[4:7] == ["3.00", "3.00-3.00", "2.00"]
        assert lax_split[4:7] == ["0.50*", "0.50-0.50", "0.33"]
        assert "not split: there is one device" in table.measurement(self.slower)
