"""Text drawn from a language model, one token after the other, ours beside a plain loop in torch."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from flax import nnx

from seqjax.bench.torch_program import torch_device
from seqjax.cells import LSTM
from seqjax.nn import LanguageModel, generate

_COMPILED = "/jax/core/compile/backend_compile_duration"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Text:
    """What is drawn: from a model of one LSTM layer that reads one-hot tokens, after a prompt of one token."""

    batch: int
    length: int = 500
    vocabulary: int = 100
    hidden: int = 256

    def __str__(self) -> str:
        return f"{self.length} tokens of {self.vocabulary}, batch {self.batch}, LSTM of {self.hidden} units"


def ours(text: Text) -> Callable[[], Any]:
    """``seqjax.nn.generate``, with another key at every call."""
    model = LanguageModel(text.vocabulary, LSTM, hidden_size=text.hidden, rngs=nnx.Rngs(0))
    prompt = np.zeros((text.batch, 1), np.int32)
    keys = list(jax.random.split(jax.random.key(0), 8))

    def run() -> np.ndarray:
        keys.append(keys.pop(0))
        return np.asarray(generate(model, prompt, text.length, keys[-1]).tokens)

    return run


def torch(text: Text) -> Callable[[], Any]:
    """A loop over ``torch.nn.LSTMCell``, a linear layer and ``multinomial``, in inference mode."""
    torch = importlib.import_module("torch")
    device = torch_device()
    one_hot = torch.eye(text.vocabulary, device=device)
    cell = torch.nn.LSTMCell(text.vocabulary, text.hidden).to(device)
    head = torch.nn.Linear(text.hidden, text.vocabulary).to(device)

    def run() -> np.ndarray:
        with torch.inference_mode():
            token = torch.zeros(text.batch, dtype=torch.long, device=device)
            carry, tokens = None, []
            for _ in range(text.length):
                carry = cell(one_hot[token], carry)
                token = torch.multinomial(head(carry[0]).softmax(-1), 1)[:, 0]
                tokens.append(token)
            return torch.stack(tokens, dim=1).cpu().numpy()

    return run


def counting_compilations(run: Callable[[], Any], count: list[float]) -> Callable[[], Any]:
    """The same, with the seconds of every compilation meanwhile added to ``count``."""

    def record(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == _COMPILED:
            count.append(duration_secs)

    def counted() -> Any:
        jax.monitoring.register_event_duration_secs_listener(record)
        try:
            return run()
        finally:
            jax.monitoring.unregister_event_duration_listener(record)

    return counted
