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
    shape, device = problem.shape, torch_device()
    layer = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "Elman": torch.nn.RNN}[problem.name](
        shape.inputs, shape.hidden
    )
    layer.load_state_dict({f"{name}_l0": value for name, value in torch_weights(problem).items()})
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


def torch_device() -> str:
    """The kind of device that JAX runs on, as torch calls it, with as many threads as JAX has."""
    torch = importlib.import_module("torch")
    if (platform := jax.default_backend()) not in ("cpu", "gpu"):
        raise RuntimeError(f"torch does not run on JAX's platform, {platform}")
    if platform == "gpu" and not torch.cuda.is_available():
        raise RuntimeError("this torch has no CUDA, and JAX runs on a GPU; install the CUDA build of torch")
    torch.set_num_threads(available_cores())
    return "cuda" if platform == "gpu" else "cpu"


def torch_weights(problem: Problem) -> dict[str, Any]:
    """Our parameters under the names of torch's cells."""
    torch, ours = importlib.import_module("torch"), problem.params
    recurrent_bias = np.zeros_like(ours.bias)
    if problem.name == "GRU":
        recurrent_bias[2 * problem.shape.hidden :] = ours.recurrent_bias
    weights = {
        "weight_ih": ours.kernel.T,
        "weight_hh": ours.recurrent_kernel.T,
        "bias_ih": ours.bias,
        "bias_hh": recurrent_bias,
    }
    return {name: torch.tensor(np.ascontiguousarray(value)) for name, value in weights.items()}
