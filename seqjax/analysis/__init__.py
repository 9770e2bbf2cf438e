"""Gradients through time as numbers: pure functions of a step, its parameters and a batch."""

from seqjax.analysis.fixed_points import FixedPoints as FixedPoints
from seqjax.analysis.fixed_points import fixed_points as fixed_points
from seqjax.analysis.flow import FlowSummary as FlowSummary
from seqjax.analysis.flow import GradientFlow as GradientFlow
from seqjax.analysis.flow import flow_meter as flow_meter
from seqjax.analysis.flow import gradient_flow as gradient_flow
from seqjax.analysis.gates import GateStatistics as GateStatistics
from seqjax.analysis.gates import gate_statistics as gate_statistics
from seqjax.analysis.memory import MemoryCapacity as MemoryCapacity
from seqjax.analysis.memory import memory_capacity as memory_capacity
from seqjax.analysis.spectra import jacobian_eigenvalues as jacobian_eigenvalues
from seqjax.analysis.spectra import kernel_eigenvalues as kernel_eigenvalues
from seqjax.analysis.spectra import lyapunov_exponents as lyapunov_exponents
from seqjax.analysis.spectra import product_singular_values as product_singular_values
from seqjax.analysis.spectra import step_jacobians as step_jacobians
from seqjax.analysis.surface import DescentPath as DescentPath
from seqjax.analysis.surface import Plane as Plane
from seqjax.analysis.surface import cliff as cliff
from seqjax.analysis.surface import descend as descend
from seqjax.analysis.surface import error_surface as error_surface
from seqjax.analysis.surface import plane_of_weights as plane_of_weights
from seqjax.analysis.surface import random_plane as random_plane
from seqjax.analysis.truncation import NoGradient as NoGradient
from seqjax.analysis.truncation import Truncation as Truncation
from seqjax.analysis.truncation import truncation as truncation
