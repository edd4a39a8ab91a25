"""`python -m tcomp` is the `tcomp` command."""

from tcomp.cli.main import main

if __name__ == "__main__":
    main()
