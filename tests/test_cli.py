import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import seqjax.data
import seqjax.train
from seqjax.cli import _parse, main
from seqjax.config import config_to_dict, load_config, named_configs
from seqjax.errors import CheckpointError, ConfigError, TrainingError

COMMANDS = [
    "train",
    "eval",
    "sample",
    "config",
    "configs",
    "data",
    "download",
    "cells",
    "explain",
    "gradients",
    "cures",
    "bench",
]


def process(*arguments, **options):
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


NEEDS_NO_JAX = {
    "": 0,
    "--help": 0,
    "--version": 0,
    "configs": 0,
    "data": 0,
    "data reversal": 0,
    "data revrsal": 1,
    "download": 0,
    "config --schema": 0,
    "config char_lm --describe": 0,
    "train char_lm model.hiden_size=1": 2,
    "train char_lm model.cell=LSTN": 2,
    "train char_lm model.cell_options.forgt_bias=1": 2,
    "train nowhere.yaml": 2,
    "trian": 2,
    "cells LSTN": 2,
    "explain LSTM forgt_bias=1": 2,
    "gradients chr_lm": 2,
    "gradients char_lm --length 1": 2,
    "cures --length 1": 2,
    **{f"{command} --help": 0 for command in COMMANDS},
}


@pytest.fixture(scope="module")
def results():
    """Exit code and forbidden imports after each command line, all in one process."""
    program = (
        "import contextlib, io, json, sys\n"
        "from seqjax.cli import main\n"
        "results = {}\n"
        "for line in json.loads(sys.argv[1]):\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):\n"
        "        try: code = main(line.split())\n"
        "        except SystemExit as leaving: code = leaving.code\n"
        "    found = [name for name in ('jax', 'flax', 'optax', 'orbax') if name in sys.modules]\n"
        "    results[line] = [code, found]\n"
        "print(json.dumps(results))\n"
    )
    result = process("-c", program, json.dumps(list(NEEDS_NO_JAX)))
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class TestWithoutJax:
    @pytest.mark.parametrize("line", NEEDS_NO_JAX)
    def test_help_and_errors_come_at_once(self, results, line):
        assert results[line] == [NEEDS_NO_JAX[line], []]

    def test_a_help_screen_in_its_own_process(self):
        result = process("-X", "importtime", "-m", "seqjax", "train", "--help")
        assert result.returncode == 0
        imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
        assert "seqjax.cli" in imported
        assert not {"jax", "flax", "optax", "orbax"} & imported


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_explains_itself_by_example(self, command):
        with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as leaving:
            main([command, "--help"])
        assert leaving.value.code == 0
        assert f"examples:\n  seqjax {command}" in out.getvalue()

    def test_no_command_prints_the_first_steps(self, run):
        code, out, _ = run()
        assert code == 0
        assert "first steps:" in out
        assert all(re.search(rf"^    {command}(  |$)", out, re.MULTILINE) for command in COMMANDS)

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_example_of_the_help_parses(self, command):
        with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit):
            main([command, "--help"])
        examples = out.getvalue().partition("examples:\n")[2].splitlines()
        assert examples
        for example in examples:
            program, *argv = shlex.split(example.partition(" > ")[0])
            assert program == "seqjax"
            assert callable(_parse(argv).run)

    def test_version(self):
        result = process("-m", "seqjax", "--version")
        assert re.fullmatch(r"seqjax \S+ \(Python \S+, jax \S+, flax \S+, optax \S+\)\n", result.stdout)


class TestUsageErrors:
    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["trian"], "error: there is no command 'trian'; did you mean 'train'?"),
            (["train"], f"error: which config? Give a YAML file, or a name: {', '.join(named_configs())}"),
            (["train", "a=b"], f"error: which config? Give a YAML file, or a name: {', '.join(named_configs())}"),
            (["train", "chr_lm"], "error: there is no config 'chr_lm'; did you mean 'char_lm'?"),
            (
                ["train", "char_lm", "--hidden-size", "3"],
                "error: seqjax train has no option --hidden-size; "
                "settings are written key=value, as in model.hidden_size=512",
            ),
            (
                ["train", "char_lm", "--run-dri", "x"],
                "error: seqjax train has no option --run-dri; did you mean '--run-dir'?",
            ),
            (
                ["train", "--resume", "runs/x", "char_lm"],
                "error: --resume goes on with the run's own config; leave out 'char_lm'",
            ),
            (
                ["train", "--resume", "runs/x", "--run-dir", "y"],
                "error: --resume goes on in the run's own directory; leave out --run-dir",
            ),
            (["eval"], "error: seqjax eval: needs RUN\n  for example: seqjax eval runs/first"),
            (["eval", "a", "b"], "error: seqjax eval does not take 'b'; `seqjax eval --help` shows what it does take"),
            (["cells", "LSTN"], "error: there is no cell 'LSTN'; did you mean 'LSTM'?"),
            (
                ["explain", "LSTM", "forgt_bias=1"],
                "error: forgt_bias - LSTM has no such option; did you mean 'forget_bias'? (got 1)",
            ),
            (["explain", "LSTM", "hidden_size=0"], "error: LSTM.hidden_size must be a positive whole number, got 0"),
            (
                ["train", "char_lm", "model.hiden_size=1", "train.steps=x"],
                "error: model.hiden_size - unknown key; did you mean 'hidden_size'? (got 1)\n"
                "error: train.steps - must be a whole number (got 'x')",
            ),
            (["gradients", "chr_lm"], "error: there is no config 'chr_lm'; did you mean 'char_lm'?"),
            (
                ["gradients", "char_lm", "--length", "1"],
                "error: --length: gradients through time need at least 2 time steps (got 1)",
            ),
            (
                ["gradients", "char_lm", "--checkpoint", "3"],
                "error: --checkpoint is for a run, and char_lm is a config; leave it out",
            ),
            (["--verison"], "error: seqjax has no option --verison; did you mean '--version'?"),
        ],
    )
    def test_one_message_and_exit_code_2(self, run, argv, message):
        assert run(*argv) == (2, "", message + "\n")

    @pytest.mark.parametrize(
        ("option", "value"),
        [("--length", "x"), ("--length", "-1"), ("--seed", "1.5"), ("--temperature", "-1"), ("--temperature", "nan")],
    )
    def test_numbers_out_of_range(self, run, option, value):
        code, out, error = run("sample", "runs/x", option, value)
        assert (code, out) == (2, "")
        assert error.startswith(f"error: seqjax sample: {option}: must be a ")
        assert f"(got '{value}')" in error

    def test_a_cell_that_refuses_a_value_is_no_traceback(self, run):
        code, out, error = run("explain", "LSTM", "activation=tanhh")
        assert (code, out) == (2, "")
        assert error.startswith("error: LSTM - unknown activation 'tanhh'; did you mean 'tanh'?")
        assert error.count("\n") == 1


class TestConfig:
    def test_prints_a_complete_config_that_reads_back(self, run, tmp_path):
        code, out, _ = run("config", "char_lm", "model.hidden_size=7")
        assert code == 0
        path = tmp_path / "mine.yaml"
        path.write_text(out)
        assert load_config(path) == load_config("char_lm", ["model.hidden_size=7"])

    @pytest.mark.parametrize("name", sorted(named_configs()))
    def test_descriptions_are_comments(self, run, name):
        settings = ["sample.prompt='a: b\n\n  steps: c'"] if load_config(name).task == "language_model" else []
        _, out, _ = run("config", name, "--describe", *settings)
        assert yaml.safe_load(out) == yaml.safe_load(run("config", name, *settings)[1])
        assert re.search(r"^  hidden_size: \d+ +# hidden units of every layer\.$", out, re.MULTILINE)
        assert re.search(r"^    global_norm: 1.0 +# scale all gradients together", out, re.MULTILINE)

    def test_schema_is_json(self, run):
        schema = json.loads(run("config", "--schema")[1])
        keys = set(schema["$defs"]["LanguageModelExperiment"]["properties"])
        assert keys == set(config_to_dict(load_config("char_lm")))

    def test_configs_lists_each_with_what_it_is(self, run):
        lines = run("configs")[1].splitlines()
        assert [line.split()[0] for line in lines] == list(named_configs())
        assert all(len(line) <= 120 and len(line.split()) >= 5 for line in lines)


class TestTrain:
    @pytest.fixture
    def calls(self, monkeypatch):
        made = []

        def run(config, run_dir):
            made.append(("run", config, run_dir))
            return run_dir

        def resume(run_dir, overrides):
            made.append(("resume", run_dir, list(overrides)))
            return run_dir

        # The package makes its names on first use.
        monkeypatch.setitem(vars(seqjax.train), "run", run)
        monkeypatch.setitem(vars(seqjax.train), "resume", resume)
        return made

    def test_config_settings_and_directory(self, run, calls, tmp_path):
        code, out, error = run(
            "train", "char_lm", "model.hidden_size=3", "--run-dir", tmp_path / "a b", "train.steps=5"
        )
        assert (code, error) == (0, "")
        expected = load_config("char_lm", ["model.hidden_size=3", "train.steps=5"])
        assert calls == [("run", expected, tmp_path / "a b")]
        assert out.splitlines()[-1] == f"run directory: {tmp_path / 'a b'}"

    def test_the_default_directory_has_the_name_and_the_time(self, run, calls, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("time.strftime", lambda form: "20260102-030405")
        for expected in ("runs/mine-20260102-030405", "runs/mine-20260102-030405-2", "runs/mine-20260102-030405-3"):
            assert run("train", "char_lm", "name=mine")[0] == 0
            assert calls.pop()[2] == Path(expected)
            (tmp_path / expected).mkdir(parents=True)

    def test_resume_takes_settings_with_or_without_options_between(self, run, calls):
        code, out, _ = run("train", "--resume", "runs/x", "train.steps=9", "seed=1")
        assert code == 0
        assert calls == [("resume", Path("runs/x"), ["train.steps=9", "seed=1"])]
        assert out.splitlines()[-1] == "run directory: runs/x"
        run("train", "train.steps=9", "--resume", "runs/x", "seed=1")
        assert calls[1] == calls[0]

    @pytest.mark.parametrize(
        ("error", "code", "text"),
        [
            (ConfigError("a - b\nc - d"), 2, "error: a - b\nerror: c - d\n"),
            (ConfigError("a\n  goes on"), 2, "error: a\n  goes on\n"),
            (CheckpointError("damaged"), 1, "error: damaged\n"),
            (TrainingError("not finite"), 1, "error: not finite\n"),
            (KeyboardInterrupt(), 130, "interrupted\n"),
        ],
    )
    def test_exit_codes(self, run, calls, monkeypatch, error, code, text):
        def fail(config, run_dir):
            raise error

        monkeypatch.setitem(vars(seqjax.train), "run", fail)
        assert run("train", "char_lm") == (code, "", text)

    def test_what_is_not_the_users_mistake_keeps_its_traceback(self, calls, monkeypatch):
        def fail(config, run_dir):
            raise RuntimeError("a defect")

        monkeypatch.setitem(vars(seqjax.train), "run", fail)
        with pytest.raises(RuntimeError, match="a defect"):
            main(["train", "char_lm"])


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 60)
    settings = ["train.steps=4", "train.eval_every=2", "train.checkpoint_every=2", "train.tensorboard=false"]
    sizes = ["data.batch_size=2", "data.length=8", "model.hidden_size=5", "sample.length=3", "sample.prompt=the"]
    argv = ["train", "char_lm_small", "--run-dir", str(folder / "run"), f"data.source={folder / 'text.txt'}"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main([*argv, *settings, *sizes]) == 0
    assert out.getvalue().splitlines()[-1] == f"run directory: {folder / 'run'}"
    return folder / "run"


class TestRealRun:
    """One run through every command that needs one."""

    def test_eval_equals_the_summary(self, run, directory):
        summary = json.loads((directory / "summary.json").read_text())
        code, out, _ = run("eval", directory)
        assert code == 0
        rows = [line.split() for line in out.splitlines()]
        assert rows[0] == [summary["metric"], f"{summary['value']:.4f}", "checkpoint", "4"]
        assert {name: value for name, value, _ in rows[1:]} == {k: f"{v:.4f}" for k, v in summary["baselines"].items()}
        result = json.loads(run("eval", directory, "--json")[1])
        assert result["value"] == pytest.approx(summary["value"])

    def test_eval_of_an_earlier_checkpoint(self, run, directory):
        assert run("eval", directory, "--checkpoint", 2)[1].splitlines()[0].endswith("checkpoint 2")
        code, _, error = run("eval", directory, "--checkpoint", 3)
        assert code == 1
        assert error.startswith("error: no checkpoint of step 3")

    def test_sample(self, run, directory):
        argv = ["sample", directory, "--prompt", "the ", "--length", 12, "--temperature", 1, "--seed", 5]
        code, out, _ = run(*argv)
        assert code == 0
        assert out.startswith("the ")
        assert len(out) == len("the ") + 12 + 1
        assert run(*argv)[1] == out
        assert run(*argv[:-1], 6)[1] != out

    def test_a_directory_that_holds_a_run_is_refused_with_the_next_move(self, run, directory):
        code, _, error = run("train", "char_lm_small", "--run-dir", directory)
        assert code == 2
        assert f"seqjax train --resume {directory}" in error

    def test_a_directory_that_holds_none(self, run, tmp_path):
        for command in (["eval", tmp_path], ["sample", tmp_path], ["train", "--resume", tmp_path]):
            code, _, error = run(*command)
            assert code == 1
            assert error.startswith(f"error: {tmp_path} holds no run")


class TestExplain:
    def test_prints_the_plan_of_the_cell_asked_for(self, run):
        from seqjax.cells import GRU

        sizes = ["--input-size", 6, "--hidden-size", 5, "--batch-size", 2, "--length", 9]
        code, out, _ = run("explain", "GRU", "reset=before", *sizes)
        assert code == 0
        cell = GRU(input_size=6, hidden_size=5, reset="before")
        assert out == str(seqjax.explain(cell, batch_size=2, length=9)) + "\n"


class TestData:
    def test_lists_all_and_says_what_is_missing(self, run, tmp_path):
        code, out, _ = run("data", "--root", tmp_path)
        assert code == 0
        lines = {line.split()[0]: line for line in out.splitlines()}
        assert set(lines) == {"name", *seqjax.data.SOURCES}
        assert "seqjax download spoken-digits" in lines["spoken-digit-strings"]
        assert "seqjax download" not in lines["reversal"]

    def test_shows_one(self, run, tmp_path):
        code, out, _ = run("data", "string-copy", "--root", tmp_path, "longest=4", "train=9")
        assert code == 0
        assert "options: letters=10, shortest=3" in out
        assert "9 to train on, 500 to validate" in out
        shown = re.findall(r"  (\w+)  ->  (\w+)", out)
        assert len(shown) == 3
        assert all(left == right and len(left) <= 4 for left, right in shown)

    def test_one_that_is_not_there(self, run, tmp_path):
        code, out, _ = run("data", "scan", "--root", tmp_path)
        assert code == 0
        assert out.splitlines()[-1] == "its files are not in the data root; `seqjax download scan` fetches them"


class TestDownload:
    def test_calls_with_the_root_and_prints_where(self, run, monkeypatch, tmp_path):
        calls = []

        def download_dataset(name, root, progress):
            calls.append((name, root, progress))
            return [tmp_path / "file", tmp_path / "other"]

        monkeypatch.setattr(seqjax.data, "download_dataset", download_dataset)
        assert run("download", "tiny-shakespeare", "--root", "somewhere") == (
            0,
            f"{tmp_path / 'file'} is there, and its checksum is right\n"
            f"{tmp_path / 'other'} is there, and its checksum is right\n",
            "",
        )
        assert calls == [("tiny-shakespeare", "somewhere", None)]

    def test_progress_lines_on_a_terminal(self, monkeypatch, capsys, tmp_path):
        def download_dataset(name, root, progress):
            first = progress("one")
            first(500_000, 1_500_000)
            first(1_500_000, 1_500_000)
            second = progress("two")
            second(200_000, None)
            return []

        monkeypatch.setattr(seqjax.data, "download_dataset", download_dataset)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        assert main(["download", "tiny-shakespeare"]) == 0
        assert capsys.readouterr().err == "\rone: 0.5 of 1.5 MB\rone: 1.5 of 1.5 MB\n\rtwo: 0.2 MB\n"

    def test_an_unknown_name(self, run):
        code, _, error = run("download", "tiny-shakespear")
        assert code == 1
        assert "did you mean 'tiny-shakespeare'" in error

    def test_without_a_name_lists_what_there_is(self, run, tmp_path):
        (tmp_path / "uci_splice").mkdir()
        (tmp_path / "uci_splice" / "splice.data.gz").write_bytes(b"")
        code, out, _ = run("download", "--root", tmp_path)
        assert code == 0
        lines = {line.split()[0]: line.split() for line in out.splitlines()}
        assert lines["splice"][1:3] == ["0.3", "there"]
        assert lines["snips"][1] == "1.9"
        assert lines["spoken-digits"][1] == "?"
        assert "there" not in lines["snips"]


def test_a_reader_that_leaves_early_is_no_error():
    result = process(
        "-c",
        "import subprocess, sys\n"
        "writer = subprocess.Popen([sys.executable, '-m', 'seqjax', 'config', '--schema'],"
        " stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "writer.stdout.close()\n"
        "print(writer.stderr.read().decode(), writer.wait())",
    )
    assert result.stdout.split() == ["0"]


class TestGradients:
    def test_a_config_is_measured_and_written(self, run, tmp_path):
        text = tmp_path / "cats.txt"
        text.write_text("the cat sat on the mat. " * 40)
        settings = [f"data.source={text}", "data.length=4", "model.hidden_size=4"]
        numbers = tmp_path / "numbers.json"
        code, out, _ = run("gradients", "char_lm", *settings, "--length", "6", "--batch", "2", "--json", str(numbers))
        assert code == 0
        assert out.startswith("char_lm at its initial parameters, on 2 sequences of 6 symbols\n")
        assert "layers.0.cell: " in out
        assert json.loads(numbers.read_text())["own_length"] == 4

    def test_a_directory_without_a_run(self, run, tmp_path):
        code, _, error = run("gradients", str(tmp_path))
        assert code == 1
        assert "holds no run" in error

    def test_cures_are_a_table(self, run, tmp_path):
        numbers = tmp_path / "cures.json"
        sizes = ["--length", "6", "--steps", "2", "--units", "3"]
        code, out, error = run("cures", "--quick", *sizes, "--kinds", "optimiser", "--json", str(numbers))
        assert code == 0
        assert [line.split()[0] for line in out.splitlines()[2:4]] == ["baseline", "optimiser"]
        assert "adding: add the two marked numbers of a sequence; 6 steps, 3 units, 2 updates" in out
        assert error.count("\n") == 3
        assert [row["name"] for row in json.loads(numbers.read_text())["rows"][1:]] == ["SGD", "RMSprop"]

    def test_an_unknown_kind_of_cure(self, run):
        assert run("cures", "--kinds", "gateing") == (
            2,
            "",
            "error: there are no cures of the kind 'gateing'; did you mean 'gating'?\n",
        )
