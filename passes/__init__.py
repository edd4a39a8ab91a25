"""Rewrites of tensor programs. Import it as `tcomp.passes`."""

if not __name__.startswith("tcomp."):
    raise ImportError("import this package as 'tcomp.passes'")
