"""Gradients through time as numbers: pure functions of a step, its parameters and a batch."""

from seqjax.analysis.flow import FlowSummary as FlowSummary
from seqjax.analysis.flow import GradientFlow as GradientFlow
from seqjax.analysis.flow import gradient_flow as gradient_flow
from seqjax.analysis.spectra import jacobian_eigenvalues as jacobian_eigenvalues
from seqjax.analysis.spectra import kernel_eigenvalues as kernel_eigenvalues
from seqjax.analysis.spectra import lyapunov_exponents as lyapunov_exponents
from seqjax.analysis.spectra import product_singular_values as product_singular_values
from seqjax.analysis.spectra import step_jacobians as step_jacobians
