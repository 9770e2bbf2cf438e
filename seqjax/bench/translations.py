"""Sequences decoded from an encoder-decoder, ours beside a plain loop in torch with the same parameters."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from flax import nnx

from seqjax.bench.torch_program import torch_device
from seqjax.cells import LSTM
from seqjax.decoding import beam_search, greedy
from seqjax.nn import EncoderDecoder
from seqjax.nn.functions import by_name


@dataclasses.dataclass(frozen=True, kw_only=True)
class Translation:
    """What is decoded, all of it: no row ends before the others, so that every competitor takes as many steps.

    The model is one bidirectional LSTM layer, one LSTM layer, and attention by ``general`` scores between them; its
    parameters are the initial ones.

    Attributes:
        name: whose sizes these are.
        beam_size: 1 for greedy decoding.
    """

    name: str
    batch: int
    positions: int
    length: int
    input_vocabulary: int
    vocabulary: int
    hidden: int
    embedding: int
    beam_size: int = 1

    def __str__(self) -> str:
        how = "greedy" if self.beam_size == 1 else f"beam {self.beam_size}"
        return (
            f"{self.name}, {how}: {self.length} tokens of {self.vocabulary} from {self.positions} of "
            f"{self.input_vocabulary}, batch {self.batch}, LSTM of {self.hidden} units"
        )

    def model(self) -> EncoderDecoder:
        """The model."""
        return EncoderDecoder.from_cell(
            self.vocabulary,
            LSTM,
            hidden_size=self.hidden,
            input_vocabulary_size=self.input_vocabulary,
            embedding_size=self.embedding,
            bidirectional=True,
            attention="general",
            rngs=nnx.Rngs(0),
        )

    def inputs(self) -> np.ndarray:
        """Tokens ``[batch, positions]``."""
        draws = np.random.default_rng(0)
        return draws.integers(self.input_vocabulary, size=(self.batch, self.positions), dtype=np.int32)


def ours(translation: Translation) -> Callable[[], np.ndarray]:
    """The encoder, and ``seqjax.decoding.greedy`` or ``beam_search``: tokens ``[batch, length]``."""
    model, inputs = translation.model(), translation.inputs()

    def run() -> np.ndarray:
        start = model.decoder_step(inputs)
        if translation.beam_size == 1:
            return np.asarray(greedy(*start, translation.length).tokens).T
        found = beam_search(*start, translation.length, beam_size=translation.beam_size, end_token=None)
        return np.asarray(found.tokens)[:, 0]

    return run


def torch(translation: Translation) -> Callable[[], np.ndarray]:
    """``torch.nn.LSTM`` as encoder and ``LSTMCell`` in a loop as decoder, in inference mode: tokens."""
    torch = importlib.import_module("torch")
    device, hidden, beam = torch_device(), translation.hidden, translation.beam_size
    values = {
        name: torch.tensor(np.array(value), device=device)
        for name, value in by_name(nnx.split(translation.model(), nnx.Param, ...)[1]).items()
    }
    encoder = torch.nn.LSTM(translation.embedding, hidden, bidirectional=True, batch_first=True).to(device)
    cell = torch.nn.LSTMCell(translation.embedding, hidden).to(device)
    directions = {"": "forward", "_reverse": "backward"}
    for ending, direction in directions.items():
        _load(encoder, f"_l0{ending}", values, f"encoder.layers.0.{direction}.params")
    _load(cell, "", values, "decoder.layers.layers.0.params")
    inputs = torch.tensor(translation.inputs(), device=device)

    def encode() -> tuple[Any, Any, Any]:
        memory, finals = encoder(values["embedding.table.embedding"][inputs])
        # The bridge reads both directions' final states side by side.
        heads = [(values[f"bridge.heads.{index}.kernel"], values[f"bridge.heads.{index}.bias"]) for index in range(2)]
        carry = [
            torch.tanh(torch.cat([*final], -1) @ kernel + bias)
            for final, (kernel, bias) in zip(finals, heads, strict=True)
        ]
        return memory, memory @ values["decoder.attention.kernel"], carry

    def step(token: Any, carry: Any, memory: Any, keys: Any) -> tuple[Any, Any]:
        carry = cell(values["decoder.embedding.table.embedding"][token], carry)
        weights = (keys @ carry[0][:, :, None])[..., 0].softmax(-1)
        context = (weights[:, None] @ memory)[:, 0]
        vector = torch.tanh(torch.cat([context, carry[0]], -1) @ values["decoder.attentional_kernel"])
        return carry, vector @ values["decoder.head.kernel"] + values["decoder.head.bias"]

    def run_greedy() -> np.ndarray:
        with torch.inference_mode():
            memory, keys, carry = encode()
            token = torch.zeros(translation.batch, dtype=torch.long, device=device)
            tokens = []
            for _ in range(translation.length):
                carry, logits = step(token, carry, memory, keys)
                token = logits.argmax(-1)
                tokens.append(token)
            return torch.stack(tokens, 1).cpu().numpy()

    def run_beam() -> np.ndarray:
        with torch.inference_mode():
            memory, keys, carry = (_repeated(each, beam) for each in encode())
            rows = torch.arange(translation.batch, device=device)[:, None] * beam
            scores = torch.full((translation.batch, beam), -float("inf"), device=device)
            scores[:, 0] = 0
            token = torch.zeros(translation.batch * beam, dtype=torch.long, device=device)
            tokens = torch.empty((translation.batch * beam, 0), dtype=torch.long, device=device)
            for _ in range(translation.length):
                carry, logits = step(token, carry, memory, keys)
                extended = scores[..., None] + logits.log_softmax(-1).view(translation.batch, beam, -1)
                scores, best = extended.flatten(1).topk(beam)
                parent = (rows + best // translation.vocabulary).flatten()
                token = (best % translation.vocabulary).flatten()
                carry = [state[parent] for state in carry]
                tokens = torch.cat([tokens[parent], token[:, None]], 1)
            return tokens.view(translation.batch, beam, -1)[:, 0].cpu().numpy()

    return run_greedy if beam == 1 else run_beam


def _repeated(tree: Any, count: int) -> Any:
    return [_repeated(each, count) for each in tree] if isinstance(tree, list) else tree.repeat_interleave(count, 0)


def _load(module: Any, ending: str, values: dict[str, Any], prefix: str) -> None:
    """Our parameters of a cell into torch's, which has a second bias."""
    bias = values[f"{prefix}.bias"]
    pairs = {
        "weight_ih": values[f"{prefix}.kernel"].T,
        "weight_hh": values[f"{prefix}.recurrent_kernel"].T,
        "bias_ih": bias,
        "bias_hh": bias * 0,
    }
    for name, value in pairs.items():
        getattr(module, f"{name}{ending}").data.copy_(value)
