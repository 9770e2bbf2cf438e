"""Networks of rectifiers that are the Elman step with an initialisation of their own."""

import dataclasses

from seqjax.cells.activations import Activation
from seqjax.cells.elman import Elman
from seqjax.cells.initializers import Initializer


@dataclasses.dataclass(frozen=True, kw_only=True)
class IRNN(Elman):
    r"""Rectifiers that start as a memory (Le, Jaitly and Hinton 2015).

    .. math:: h_t = \max(0, x_t W + h_{t-1} U + b), \quad U = I \text{ at first}

    The output is :math:`h_t`. The step is Elman's. Where less has to be remembered the paper starts with a smaller
    identity: ``recurrent_initializer="scaled_identity(0.01)"``.
    """

    activation: Activation = "relu"
    kernel_initializer: Initializer = "normal(0.001)"
    recurrent_initializer: Initializer = "identity"

    paper = (
        "Le, Jaitly and Hinton 2015, A simple way to initialize recurrent networks of rectified linear units, "
        "arXiv:1504.00941"
    )
    conventions = (
        "Input kernels start with a standard deviation of 0.001, as in the paper.",
        "The identity is where training starts; nothing keeps the kernel there.",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class NPRNN(Elman):
    r"""Rectifiers that start with one eigenvalue at 1 and the others between 0 and 1 (Talathi and Vartak 2015).

    .. math::
        h_t &= \max(0, x_t W + h_{t-1} U + b) \\
        U &= (A + I) / \lambda_{max}(A + I), \quad A = R^\top R / N, \quad R_{ij} \sim N(0, 1) && \text{at first}

    The output is :math:`h_t`. The step is Elman's; the paper calls it np-RNN, for normalised positive definite.
    """

    activation: Activation = "relu"
    kernel_initializer: Initializer = "np_rnn_input"
    recurrent_initializer: Initializer = "np_rnn"

    paper = (
        "Talathi and Vartak 2015, Improving performance of recurrent neural network with ReLU nonlinearity, "
        "arXiv:1511.03771"
    )
    conventions = (
        "The identity is added before the matrix is divided by its largest eigenvalue.",
        "Input kernels start with the paper's gain, which depends on the number of hidden units alone.",
    )
