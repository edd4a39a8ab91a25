"""What a schedule costs: machine probe, prior, features, learned ranker. Import it as `tcomp.cost_model`."""

if not __name__.startswith("tcomp."):
    raise ImportError("import this package as 'tcomp.cost_model'")
