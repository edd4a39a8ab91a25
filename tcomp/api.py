"""The Python interface: `compile`, `load`, `check`, and the compiled function they give and take."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tcomp.compiled import Compiled
from tcomp.diagnostics import BindingError
from tcomp.options import Options, options_from
from tcomp.source import read_source

if TYPE_CHECKING:
    from tcomp.autotune.database import Database
    from tcomp.ir.tensor.nodes import Program


def compile(
    source: str | os.PathLike[str],
    *,
    entry: str | None = None,
    sizes: Mapping[str, int] | None = None,
    constants: Mapping[str, Any] | None = None,
    params: Mapping[str, int | float | bool] | None = None,
    target: str = "native",
    threads: int | None = None,
    accuracy: str = "standard",
    tune: str | float = "cached",
    memory: int | None = None,
    database: str | os.PathLike[str] | Database | None = None,
    lock: str | os.PathLike[str] | None = None,
) -> Compiled:
    """A function that computes a program.

    `source` is program text (it has a newline or begins with `def`) or the path of a `.tc` file; `entry`
    names one of its definitions, by default the only or the last one. `sizes` binds size names and
    `params` parameters; sizes left open come from the arguments of each call. `constants` binds inputs:
    what depends on them alone is computed once. `threads` defaults to the cores this process may use.
    `accuracy` is `strict`, `standard` or `fast`; `tune` is `off`, `cached`, `background` or seconds to
    spend; `database` names the tuning database.

    Raises CompileError for a program that is wrong, BindingError for options that do not fit it.
    """
    options = options_from(
        target=target,
        threads=threads,
        accuracy=accuracy,
        tune=tune,
        memory=memory,
        database=database,
        lock=lock,
    )
    return Compiled(
        read_source(source, entry),
        options,
        dict(sizes or {}),
        dict(constants or {}),
        dict(params or {}),
    )


def compile_program(program: Program, options: Options | None = None) -> Any:
    """A kernel for a bound tensor program, from the cache where it was made before."""
    from tcomp.specialise import kernel_for

    return kernel_for(program, options or options_from())


def load(path: str | os.PathLike[str]) -> Any:
    """A compiled function saved by `Compiled.save`. Raises BindingError for what is none."""
    from tcomp.runtime.artifact import Artifact, DamagedArtifact
    from tcomp.runtime.kernel import load as load_kernel

    try:
        artifact = Artifact.from_bytes(Path(path).read_bytes())
    except OSError as error:
        raise BindingError(f"cannot read {path}: {error.strerror}", code="TC091") from error
    except DamagedArtifact as error:
        raise BindingError(f"{path}: {error}", code="TC091") from error
    return load_kernel(artifact, options_from().threads)
