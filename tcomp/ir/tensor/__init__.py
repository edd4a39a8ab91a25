"""Tensor programs: definitions in index notation. The interpreter here is the meaning of everything."""
