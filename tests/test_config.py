import dataclasses
import json
import subprocess
import sys

import pytest
import yaml

from seqjax.config import (
    LanguageModelExperiment,
    cell_fields,
    cell_names,
    config_from_dict,
    config_to_dict,
    config_to_yaml,
    find_config,
    json_schema,
    load_config,
    named_configs,
    parse_overrides,
)
from seqjax.errors import ConfigError, SeqjaxError
from seqjax.optim import ScheduleConfig


def errors_of(*overrides, config="char_lm"):
    with pytest.raises(ConfigError) as caught:
        load_config(config, overrides)
    return str(caught.value).splitlines()


def write(folder, text):
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class TestLoading:
    def test_what_is_not_given_keeps_its_default(self, tmp_path):
        config = load_config(write(tmp_path, "model:\n  hidden_size: 7\n"))
        expected = dataclasses.replace(
            LanguageModelExperiment(), model=dataclasses.replace(LanguageModelExperiment().model, hidden_size=7)
        )
        assert config == expected

    def test_overrides_win_and_the_last_one_wins(self):
        config = load_config("char_lm", ["model.hidden_size=3", "optimizer.clip.global_norm=2", "model.hidden_size=5"])
        assert config.model.hidden_size == 5
        assert config.optimizer.clip.global_norm == 2.0
        assert config.model.cell == "LSTM"

    @pytest.mark.parametrize(
        ("override", "read", "expected"),
        [
            ("optimizer.learning_rate=3e-4", lambda c: c.optimizer.learning_rate, 3e-4),
            ("optimizer.learning_rate=1", lambda c: c.optimizer.learning_rate, 1.0),
            ("model.residual=true", lambda c: c.model.residual, True),
            ("train.checkpoint_time=sqrt", lambda c: c.train.checkpoint_time, "sqrt"),
            ("train.checkpoint_time=16", lambda c: c.train.checkpoint_time, 16),
            ("optimizer.schedule=null", lambda c: c.optimizer.schedule, None),
            ("sample.prompt='a = b '", lambda c: c.sample.prompt, "a = b "),
            ("model.cell_options={forget_bias: 2.5}", lambda c: c.model.cell_options, {"forget_bias": 2.5}),
            ("model.cell_options.forget_bias=0", lambda c: c.model.cell_options, {"forget_bias": 0}),
            ("model.embedding_size=${model.hidden_size}", lambda c: c.model.embedding_size, 256),
            ("data.batch_size=${sample.length}", lambda c: c.data.batch_size, 400),
        ],
    )
    def test_override_values_are_yaml(self, override, read, expected):
        value = read(load_config("char_lm", [override]))
        assert value == expected
        assert type(value) is type(expected)

    def test_a_section_that_the_file_lacks_can_be_overridden(self, tmp_path):
        path = write(tmp_path, "name: x\n")
        config = load_config(
            path, ["optimizer.schedule.name=linear_schedule", "optimizer.schedule.options.end_value=0"]
        )
        assert config.optimizer.schedule == ScheduleConfig(name="linear_schedule", options={"end_value": 0})

    def test_parse_overrides_nests(self):
        assert parse_overrides(["a.b=1", "a.c=[x, 2]", "d='3'"]) == {"a": {"b": 1, "c": ["x", 2]}, "d": "3"}


class TestRoundTrip:
    @pytest.mark.parametrize("name", sorted(named_configs()))
    def test_every_shipped_config_loads_and_says_what_to_expect(self, name):
        path = named_configs()[name]
        config = load_config(name)
        assert config.name == name
        assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config
        header = [line for line in path.read_text().splitlines() if line.startswith("#")]
        assert len(header) >= 3
        for beginning in ("# Time and machine: ", "# Expected: "):
            assert any(line.startswith(beginning) for line in header[1:])

    def test_the_configs_of_the_readme_are_there(self):
        assert {"char_lm", "shakespeare"} <= set(named_configs())

    @pytest.mark.parametrize(
        "prompt", ["The ", "", "1e-3", "no", "${model.cell}", "a: b # c", "\n\t'\"\\", "größe 中", "12:30"]
    )
    def test_yaml_reads_back_equal(self, tmp_path, prompt):
        overrides = ["model.cell_options.forget_bias=1e-5", "optimizer.learning_rate=1e-7", "train.checkpoint_time=3"]
        loaded = load_config("char_lm", overrides)
        config = dataclasses.replace(loaded, sample=dataclasses.replace(loaded.sample, prompt=prompt))
        text = config_to_yaml(config)
        assert load_config(write(tmp_path, text)) == config

    def test_yaml_is_complete(self):
        assert set(yaml.safe_load(config_to_yaml(LanguageModelExperiment()))["train"]) == {
            field.name for field in dataclasses.fields(LanguageModelExperiment().train)
        }


class TestErrors:
    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("model.hiden_size=64", "model.hiden_size - unknown key; did you mean 'hidden_size'? (got 64)"),
            ("modle.hidden_size=64", "modle - unknown key; did you mean 'model'? (got {'hidden_size': 64})"),
            ("hidden_size=64", "hidden_size - unknown key; did you mean 'model.hidden_size'? (got 64)"),
            ("data.lenght=64", "data.lenght - unknown key; did you mean 'length'? (got 64)"),
            ("train.step=64", "train.step - unknown key; did you mean 'steps'? (got 64)"),
            ("sample.Length=64", "sample.Length - unknown key; did you mean 'length'? (got 64)"),
            ("optimizer.clip.norm=1", "optimizer.clip.norm - unknown key; did you mean 'global_norm'? (got 1)"),
            (
                "optimizer.clip.zzz=1",
                "optimizer.clip.zzz - unknown key; known are global_norm, value, adaptive (got 1)",
            ),
            (
                "optimizer.schedule.option=1",
                "optimizer.schedule.option - unknown key; did you mean 'options'? (got 1)",
            ),
            ("model.hidden_size=true", "model.hidden_size - must be a whole number (got true)"),
            ("model.hidden_size=fast", "model.hidden_size - must be a whole number (got 'fast')"),
            ("model.hidden_size=1.5", "model.hidden_size - must be a whole number (got 1.5)"),
            ("model.hidden_size=-1", "model.hidden_size - must be greater than 0 (got -1)"),
            ("model.hidden_size=", "model.hidden_size - must be a whole number (got null)"),
            ("model.hidden_size.x=1", "model.hidden_size - must be a whole number (got {'x': 1})"),
            ("model.dropout=1", "model.dropout - must be less than 1 (got 1)"),
            ("model.residual=1", "model.residual - must be true or false (got 1)"),
            ("optimizer.learning_rate=.nan", "optimizer.learning_rate - must be a finite number (got nan)"),
            ("optimizer.learning_rate=.inf", "optimizer.learning_rate - must be a finite number (got inf)"),
            ("name=3", "name - must be text; quotes make text of what looks like a number (got 3)"),
            (
                "name=a/b",
                "name - must be letters, digits, '_', '.' and '-', as it becomes a directory's name (got 'a/b')",
            ),
            (
                "data.vocabulary=byt",
                "data.vocabulary - must be 'character' or 'byte'; did you mean 'byte'? (got 'byt')",
            ),
            (
                "model.normalization=batch",
                "model.normalization - must be 'layer' or 'rms' or null (got 'batch')",
            ),
            ("train.checkpoint_time=0", "train.checkpoint_time - must be 'sqrt' or greater than 0 or null (got 0)"),
            ("model=LSTM", "model - must be a mapping of keys to values (got 'LSTM')"),
            ("optimizer.options=[1]", "optimizer.options - must be a mapping of keys to values (got [1])"),
            ("schema_version=2", "schema_version - must be 1 (got 2)"),
            ("model.cell=LSTN", "model.cell - no cell of this name; did you mean 'LSTM'? (got 'LSTN')"),
            (
                "model.cell_options.forgt_bias=1",
                "model.cell_options.forgt_bias - LSTM has no such option; did you mean 'forget_bias'? (got 1)",
            ),
            (
                "model.cell_options.hidden_size=1",
                "model.cell_options.hidden_size - not an option; it is set by model.hidden_size (got 1)",
            ),
            (
                "optimizer.clip.value=1",
                "optimizer.clip - give only one of global_norm, value and adaptive (got global_norm: 1.0, value: 1.0)",
            ),
            ("train.devices=0", "train.devices - must be greater than 0 (got 0)"),
            (
                "train.devices=3",
                "the configuration - data.batch_size=16 cannot be split over train.devices=3; make it a multiple of 3, "
                "such as 18, or change train.devices",
            ),
            ("train.steps", "train.steps - an override needs '=' and a value, as in model.hidden_size=512"),
            ("=3", "=3 - an override starts with a dotted key, as in model.hidden_size=512"),
            ("train.=3", "train.=3 - an override starts with a dotted key, as in model.hidden_size=512"),
            ("train..steps=3", "train..steps=3 - an override starts with a dotted key, as in model.hidden_size=512"),
            ("a[0]=3", "a[0]=3 - an override starts with a dotted key, as in model.hidden_size=512"),
            (
                "name={x",
                "name={x - the value is not YAML (did not find expected ',' or '}'); try quotes, as in 'name=\"...\"'",
            ),
            ("name=???", "name - is '???', which stands for a value that has to be given"),
            (
                "name=${nam}",
                "name - Interpolation key 'nam' not found; ${...} takes the value of another key",
            ),
        ],
    )
    def test_one_line_says_where_what_and_what_to_do(self, override, message):
        assert errors_of(override) == [message]

    def test_a_missing_key_is_named(self, tmp_path):
        path = write(tmp_path, "optimizer:\n  schedule:\n    options: {}\n")
        assert errors_of(config=path) == ["optimizer.schedule.name - missing; it has to be given"]

    def test_all_mistakes_at_once(self):
        lines = errors_of("model.hiden_size=1", "train.steps=x", "seed=-1", "model.cell=GRUU", "nam=x")
        assert [line.partition(" - ")[0] for line in lines] == [
            "seed",
            "model.hiden_size",
            "train.steps",
            "nam",
            "model.cell",
        ]

    def test_all_override_mistakes_at_once(self):
        assert len(errors_of("a", "=1", "b={")) == 3

    def test_it_is_a_configuration_error_with_exit_code_2(self):
        assert ConfigError.exit_code == 2
        assert issubclass(ConfigError, SeqjaxError)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "{path} - holds no settings; `seqjax config char_lm` prints a complete config to start from"),
            (
                "# nothing\n",
                "{path} - holds no settings; `seqjax config char_lm` prints a complete config to start from",
            ),
            ("- a\n", "{path} - not a mapping; a config is lines of 'key: value', as `seqjax config char_lm` prints"),
            ("hello", "{path} - not a mapping; a config is lines of 'key: value', as `seqjax config char_lm` prints"),
            ("3", "{path} - not a mapping; a config is lines of 'key: value', as `seqjax config char_lm` prints"),
            ("seed: 1\nname: x\nseed: 2\n", "{path}, line 3 - found duplicate key seed"),
            ("model:\n  cell: GRU\n  cell: LSTM\n", "{path}, line 3 - found duplicate key cell"),
            ("model: [1\n", "{path}, line 2 - did not find expected ',' or ']'"),
            ("\tmodel: 1", "{path}, line 1 - found character that cannot start any token"),
            ("a\x00: 1", "{path} - not a YAML text: unacceptable character #x0000: control characters are not allowed"),
        ],
    )
    def test_files_that_are_no_config(self, tmp_path, text, message):
        path = write(tmp_path, text)
        assert errors_of(config=path) == [message.format(path=path)]

    def test_a_binary_file(self, tmp_path):
        path = write(tmp_path, b"\x89PNG\xff\xfe\x00")
        (line,) = errors_of(config=path)
        assert line.startswith(f"{path} - not a YAML text: ")


class TestFinding:
    def test_a_name_and_its_path_are_the_same(self):
        assert (
            load_config("char_lm")
            == load_config(find_config("char_lm"))
            == load_config(str(named_configs()["char_lm"]))
        )

    def test_an_unknown_name_lists_the_nearest_or_all(self):
        assert errors_of(config="chr_lm") == ["there is no config 'chr_lm'; did you mean 'char_lm'?"]
        assert errors_of(config="zzz") == [f"there is no config 'zzz'; known are {', '.join(named_configs())}"]

    def test_a_missing_file_names_the_config_that_can_be_used_by_name(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert errors_of(config="configs/char_lm.yaml") == [
            "there is no file configs/char_lm.yaml; the config 'char_lm' can be used by that name"
        ]
        assert errors_of(config="mine.yaml")[0].startswith(
            "there is no file mine.yaml; give the path of a YAML file, or"
        )

    def test_a_directory(self, tmp_path):
        assert errors_of(config=tmp_path)[0].startswith(f"{tmp_path} is a directory, not a config file; give the path")
        write(tmp_path, "name: x\n")
        assert "seqjax train --resume" in errors_of(config=tmp_path)[0]

    def test_a_directory_does_not_hide_a_name(self, tmp_path, monkeypatch):
        (tmp_path / "char_lm").mkdir()
        monkeypatch.chdir(tmp_path)
        assert load_config("char_lm").name == "char_lm"


class TestSchema:
    def test_every_key_is_described(self):
        parts = list(json_schema()["$defs"].values())
        undescribed = [
            key for part in parts for key, value in part["properties"].items() if not value.get("description")
        ]
        assert undescribed == []
        assert all(part["additionalProperties"] is False for part in parts)

    def test_cells_are_listed(self):
        assert json_schema()["$defs"]["LanguageModelConfig"]["properties"]["cell"]["enum"] == cell_names()


class TestCellsWithoutJax:
    def test_names_and_fields_equal_the_registry(self):
        cells = pytest.importorskip("seqjax.cells")
        registry = cells.registry()
        assert cell_names() == sorted(registry)
        for name, cell in registry.items():
            assert cell_fields(name) == [field.name for field in dataclasses.fields(cell)]

    def test_loading_imports_neither_jax_nor_flax_nor_optax(self):
        program = (
            "import sys; from seqjax.config import load_config, json_schema; load_config('char_lm'); json_schema();"
            "print([name for name in ('jax', 'flax', 'optax', 'orbax') if name in sys.modules])"
        )
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert result.stdout.strip() == "[]"
