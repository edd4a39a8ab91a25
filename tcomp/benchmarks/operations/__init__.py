"""What a workload computes, in neutral terms: one class for each form that peers have names for."""

from tcomp.benchmarks.operations.contraction import Contraction, matmul
from tcomp.benchmarks.operations.convolution import Convolution
from tcomp.benchmarks.operations.epilogue import Epilogue
from tcomp.benchmarks.operations.program import ProgramText
from tcomp.benchmarks.operations.quantised import BlockScaledProduct
from tcomp.benchmarks.operations.tensor import Operation, TensorSpec

__all__ = [
    "BlockScaledProduct",
    "Contraction",
    "Convolution",
    "Epilogue",
    "Operation",
    "ProgramText",
    "TensorSpec",
    "matmul",
]
