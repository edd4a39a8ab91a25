"""Plain matrix products, the shapes that every library is tuned for, and the small ones that none is."""

from tcomp.benchmarks.operations import matmul
from tcomp.benchmarks.workload import Workload

BYTES, MIXED = ("i8", "i8", "i32"), ("u8", "i8", "i32")
BF16, F16 = ("bf16", "bf16", "bf16"), ("f16", "f16", "f16")

WORKLOADS = (
    *(Workload("blas", "cube", matmul(512, 512, 512, t)) for t in ("nn", "tn", "nt", "tt")),
    *(Workload("blas", "cube", matmul(1024, 1024, 1024, t)) for t in ("nn", "tn", "nt", "tt")),
    Workload("blas", "cube", matmul(768, 768, 768)),
    Workload("blas", "cube", matmul(2048, 2048, 2048)),
    *(Workload("blas", "small", matmul(n, n, n)) for n in (8, 16, 32, 64)),
    Workload("blas", "batched", matmul(16, 16, 16, batch=512)),
    Workload("blas", "batched", matmul(64, 64, 64, batch=64)),
    Workload("blas", "skinny", matmul(4096, 64, 64)),
    Workload("blas", "skinny", matmul(64, 64, 16384)),
    Workload("blas", "skinny", matmul(16, 4096, 1024)),
    Workload("blas", "vector", matmul(1, 1024, 1024)),
    Workload("blas", "int8", matmul(1024, 1024, 1024, dtypes=BYTES, weights=True)),
    Workload("blas", "int8", matmul(1024, 1024, 1024, dtypes=MIXED, weights=True)),
    Workload("blas", "half", matmul(1024, 1024, 1024, dtypes=BF16)),
    Workload("blas", "half", matmul(1024, 1024, 1024, dtypes=F16)),
)
