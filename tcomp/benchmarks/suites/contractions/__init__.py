"""Matrix products, tensor contractions and convolutions of real networks, one file for each family."""

from tcomp.benchmarks.suites.contractions import (
    convolutional,
    dense,
    generative,
    papers,
    residual,
    transformers,
)
from tcomp.benchmarks.workload import Suite

SUITE = Suite(
    name="contractions",
    title="contractions of real networks",
    workloads=(
        *dense.WORKLOADS,
        *transformers.WORKLOADS,
        *residual.WORKLOADS,
        *convolutional.WORKLOADS,
        *generative.WORKLOADS,
        *papers.WORKLOADS,
    ),
    peers=("numpy", "torch", "torch_compile", "onnxruntime", "openvino", "jax"),
    targets={
        "cube": 1.0,
        "skinny": 1.15,
        "batched": 1.15,
        "small": 1.15,
        "vector": 1.15,
        ("conv3x3", "strict"): 1.05,
        ("conv3x3", "standard"): 1.5,
        ("conv3x3", "fast"): 2.0,
        ("conv3x3-small", "strict"): 0.95,
        ("conv3x3-small", "standard"): 1.2,
        ("conv3x3-small", "fast"): 1.4,
        "conv": 1.1,
        "depthwise": 1.3,
        "transposed": 1.3,
        "fused": 1.2,
        "int8": 1.5,
        "int4": 1.5,
        "half": 1.1,
        "tensor": 1.5,
    },
)
