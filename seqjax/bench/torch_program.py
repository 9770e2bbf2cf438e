"""The same cell in torch, which for this is oneDNN or its own kernels on a CPU and cuDNN on a GPU."""

import importlib
from typing import Any

import jax
import numpy as np

from seqjax.bench.machine import available_cores
from seqjax.bench.programs import Problem, Program


def torch(problem: Problem) -> Program:
    """``torch.nn.LSTM``, ``GRU`` or ``RNN``, time first, on the kind of device that JAX runs on."""
    torch = importlib.import_module("torch")
    shape, ours = problem.shape, problem.params
    if (platform := jax.default_backend()) not in ("cpu", "gpu"):
        raise RuntimeError(f"torch does not run on JAX's platform, {platform}")
    if platform == "gpu" and not torch.cuda.is_available():
        raise RuntimeError("this torch has no CUDA, and JAX runs on a GPU; install the CUDA build of torch")
    device = "cuda" if platform == "gpu" else "cpu"
    torch.set_num_threads(available_cores())
    layer = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "Elman": torch.nn.RNN}[problem.name](
        shape.inputs, shape.hidden
    )
    recurrent_bias = np.zeros_like(ours.bias)
    if problem.name == "GRU":
        recurrent_bias[2 * shape.hidden :] = ours.recurrent_bias
    weights = (ours.kernel.T, ours.recurrent_kernel.T, ours.bias, recurrent_bias)
    layer.load_state_dict(
        {
            name: torch.tensor(np.ascontiguousarray(value))
            for name, value in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), weights, strict=True)
        }
    )
    layer.to(device)
    training = problem.pass_name == "training"
    inputs = torch.tensor(problem.inputs, device=device, requires_grad=training)
    wanted = (inputs, *layer.parameters())

    def run() -> Any:
        if training:
            loss = layer(inputs)[0].square().sum()
            returned = (loss, torch.autograd.grad(loss, wanted))
        else:
            with torch.inference_mode():
                returned = layer(inputs)[0]
        if device == "cuda":
            torch.cuda.synchronize()
        return returned

    def results(returned: Any) -> dict[str, np.ndarray]:
        as_numpy = lambda tensor: tensor.detach().cpu().numpy()
        if not training:
            return {"outputs": as_numpy(returned)}
        return {"loss": as_numpy(returned[0]), "gradient to the inputs": as_numpy(returned[1][0])}

    return Program(run=run, results=results, comparable=True)
