"""Running kernels: JIT, threads, arrays, the compiled-kernel cache."""
