"""The tcomp command, one module for each sub-command."""
