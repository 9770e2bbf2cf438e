"""``seqjax bench``."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqjax.bench.machine import available_cores
from seqjax.bench.peers import PEERS
from seqjax.bench.settings import CELLS, PASSES, SHAPES, Settings
from seqjax.cli.parser import Arguments, Parser, size, whole_number
from seqjax.errors import ConfigError, SeqjaxError

if TYPE_CHECKING:
    from seqjax.bench import DecodingReport, Report, StreamingReport

_DESCRIPTION = """\
Time recurrent cells over whole sequences, ours beside those of other libraries, in turn in one process. Peers that are
not installed are named and left out; `pip install 'seqjax[bench]'` installs all but torch, whose build is one's own
choice. A peer whose results are not ours is reported and not timed."""

_EXAMPLE = """\
seqjax bench --cells LSTM --shapes D --passes training
seqjax bench --shapes A 64,16,100,200 --peers lax nnx torch --rounds 10
seqjax bench --json bench.json --plot bench.png
seqjax bench --memory --cells LSTM
seqjax bench --streaming
seqjax bench --decoding"""

_MEMORY_SHAPES = ("2048,16,128,256",)
_STREAMING_SHAPES = ("1,1,64,128", "1,1,256,256")


def add_commands(commands: Any) -> None:
    """Add the parser of this file's command."""
    bench: Parser = commands.add_parser(
        "bench", help="time the cells beside those of other libraries", description=_DESCRIPTION, example=_EXAMPLE
    )
    shapes = " ".join(f"{shape.name}={','.join(map(str, shape[1:]))}" for shape in SHAPES.values())
    for option, metavar, default, text in (
        ("--cells", "CELL", CELLS, f"names that `seqjax cells` lists, or path.py:Name (default: {' '.join(CELLS)})"),
        ("--shapes", "SHAPE", None, f"names, or time,batch,inputs,hidden (default: {shapes})"),
        ("--passes", "PASS", None, f"{' '.join(PASSES)} (default: both); training is with gradients"),
        ("--peers", "PEER", tuple(PEERS), f"libraries to compare with (default: {' '.join(PEERS)})"),
        ("--checkpoint", "N", (), "time ours also with these checkpoint schedules: sqrt, or a number of time steps"),
    ):
        bench.add_argument(option, metavar=metavar, nargs="+", default=default, help=text)
    bench.add_argument("--rounds", metavar="N", type=size, default=20, help="timed rounds (default: 20)")
    bench.add_argument("--warmup", metavar="N", type=whole_number, default=3, help="rounds dropped before (default: 3)")
    bench.add_argument(
        "--devices",
        metavar="N",
        type=size,
        help="CPU devices of JAX, over which a batch that can be divided is split in rows of their own; 1: no such "
        "rows (default: the number of cores)",
    )
    bench.add_argument(
        "--memory",
        action="store_true",
        help=f"show the memory of training steps, ours also with checkpoint sqrt (shapes: {_MEMORY_SHAPES[0]})",
    )
    bench.add_argument(
        "--streaming",
        action="store_true",
        help=f"time single steps of batch 1, and writing (shapes: {' '.join(_STREAMING_SHAPES)})",
    )
    bench.add_argument(
        "--decoding",
        action="store_true",
        help="time greedy decoding and beam search of encoder-decoders of the sizes of SCAN and CMUdict",
    )
    bench.add_argument("--json", metavar="FILE", type=Path, help="write everything that was measured")
    bench.add_argument("--plot", metavar="FILE", type=Path, help="draw the ratios, as PNG, SVG or PDF by its name")
    bench.set_defaults(run=_bench)


def _bench(arguments: Arguments) -> None:
    settings = _settings(arguments)
    _check_files(arguments)
    _set_devices(arguments)
    line = _StatusLine()
    try:
        measure = _streaming if arguments.streaming else _decoding if arguments.decoding else _table
        failed, measurements = measure(arguments, settings, line)
    finally:
        line.clear()
    if failed:
        raise SeqjaxError(f"seqjax itself failed in {failed} of {measurements} measurements; see above")


def _table(arguments: Arguments, settings: Settings, line: "_StatusLine") -> tuple[int, int]:
    from seqjax.bench import bench, table
    from seqjax.bench.results import OURS, SPLIT

    def show(report: "Report") -> None:
        line.clear()
        last = report.measurements[-1:]
        _print_and_keep(table.measurement(*last) if last else table.heading(report), report, arguments.json)

    report = bench(settings, show, line.show)
    line.clear()
    print(table.memory(report) if arguments.memory else table.summary(report))
    if arguments.plot is not None:
        from seqjax.bench import picture

        picture.draw(report, arguments.plot)
    return sum(bool({OURS, SPLIT} & set(m.failures)) for m in report.measurements), len(report.measurements)


def _streaming(arguments: Arguments, settings: Settings, line: "_StatusLine") -> tuple[int, int]:
    from seqjax.bench import bench_streaming, streaming_table

    def show(report: "StreamingReport") -> None:
        line.clear()
        if report.generation:
            text = streaming_table.generation(report.generation[-1])
        else:
            text = streaming_table.latency(report.steps[-1]) if report.steps else streaming_table.heading(report)
        _print_and_keep(text, report, arguments.json)

    report = bench_streaming(settings, show, line.show)
    return sum("seqjax" in step.failures for step in report.steps), len(report.steps)


def _decoding(arguments: Arguments, settings: Settings, line: "_StatusLine") -> tuple[int, int]:
    from seqjax.bench import bench_decoding, streaming_table

    def show(report: "DecodingReport") -> None:
        line.clear()
        last = report.results[-1:]
        text = streaming_table.decoding(*last) if last else streaming_table.decoding_heading(report)
        _print_and_keep(text, report, arguments.json)

    report = bench_decoding(settings, show, line.show)
    return 0, len(report.results)


def _print_and_keep(text: str, report: "DecodingReport | Report | StreamingReport", file: Path | None) -> None:
    print(f"{text}\n")
    sys.stdout.flush()
    # What was measured before an interruption is kept.
    if file is not None:
        file.write_text(json.dumps(report.to_dict(), indent=2) + "\n", "utf-8")


def _set_devices(arguments: Arguments) -> None:
    """Before JAX looks at the machine. Without the option, what was set by other means stays."""
    import jax

    set_elsewhere = (
        jax.config.values.get("jax_num_cpu_devices", -1) != -1
        or "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
        or arguments.streaming
        or arguments.decoding
    )
    count = arguments.devices or (None if set_elsewhere else available_cores())
    if count is not None:
        try:
            jax.config.update("jax_num_cpu_devices", count)
        except RuntimeError as error:
            raise SeqjaxError("--devices is for a process in which JAX has not run yet; start a new one") from error


def _settings(arguments: Arguments) -> Settings:
    checkpoints = [int(text) if text.isascii() and text.isdecimal() else text for text in arguments.checkpoint]
    shapes, passes, peers = arguments.shapes, arguments.passes, arguments.peers
    if arguments.decoding:
        for option in ("--streaming", "--memory", "--plot", "--devices", "--shapes", "--passes", "--checkpoint"):
            if getattr(arguments, option.removeprefix("--")):
                raise ConfigError(f"--decoding is about whole models of given sizes; leave out {option}")
    elif arguments.streaming:
        for option in ("--memory", "--plot", "--devices", "--passes", "--checkpoint"):
            if getattr(arguments, option.removeprefix("--")):
                raise ConfigError(f"--streaming is about single steps; leave out {option}")
        shapes = shapes or _STREAMING_SHAPES
        if wrong := next((text for text in shapes if not text.startswith("1,1,")), None):
            raise ConfigError(f"--streaming is about single steps; a shape is written 1,1,inputs,hidden, got '{wrong}'")
    elif arguments.memory:
        if passes is not None and list(passes) != ["training"]:
            raise ConfigError("--memory is about training steps; leave out --passes")
        # Torch does not say what a step takes.
        peers = [name for name in peers if name != "torch"]
        shapes, passes, checkpoints = shapes or _MEMORY_SHAPES, ("training",), checkpoints or ["sqrt"]
    return Settings(
        cells=arguments.cells,
        shapes=shapes or tuple(SHAPES),
        passes=passes or PASSES,
        peers=peers,
        checkpoints=checkpoints,
        rounds=arguments.rounds,
        warmup=arguments.warmup,
    )


def _check_files(arguments: Arguments) -> None:
    """What would fail after everything has been measured."""
    for option, path in (("--json", arguments.json), ("--plot", arguments.plot)):
        if path is not None and not path.parent.is_dir():
            raise ConfigError(f"{option}: there is no directory {path.parent}; make it first")
    if arguments.plot is not None:
        if arguments.plot.suffix.lower() not in (".png", ".svg", ".pdf"):
            raise ConfigError(f"--plot: a file that ends in .png, .svg or .pdf is expected, got {arguments.plot}")
        if importlib.util.find_spec("matplotlib") is None:
            raise SeqjaxError("--plot needs matplotlib, which is not installed; pip install matplotlib")


class _StatusLine:
    """One line on a terminal that says what is going on; nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._width = 0

    def show(self, text: str) -> None:
        if self._shown:
            print(f"\r{text.ljust(self._width)}", end="", file=sys.stderr, flush=True)
            self._width = len(text)

    def clear(self) -> None:
        if self._width:
            print(f"\r{' ' * self._width}\r", end="", file=sys.stderr, flush=True)
            self._width = 0
