"""Random valid programs with inputs and error bounds: the common source of every comparison."""
