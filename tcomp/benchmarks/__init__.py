"""Benchmarks: suites of workloads as data, peers as adapters, and how they are measured and reported.

A workload says in neutral terms what it computes (`operations`); the program for tcomp, the reference in
NumPy and every peer's form are made from that.
"""
