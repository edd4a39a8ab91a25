"""Failures of commands as messages on standard error and an exit status; never a traceback, unless asked."""

from __future__ import annotations

import json as json_module
import os
import sys
import traceback
from typing import Any

import click

from tcomp import config
from tcomp.diagnostics import BindingError, Error, InternalError

CHECK_FAILED, USER_MISTAKE, INTERNAL, INTERRUPTED = 1, 2, 3, 130
REPORT = "this is a fault of tcomp, not of your program: please report it with the program and TCOMP_DEBUG=1"


class CheckFailed(Exception):
    """A comparison that a command was asked for did not hold; the message says which."""


def report(problem: BaseException, *, json: bool) -> int:
    """Tells the user what went wrong and gives the process's exit status."""
    if isinstance(problem, SystemExit | click.exceptions.Exit):
        status = getattr(problem, "exit_code", getattr(problem, "code", 0))
        return status if isinstance(status, int) else 0
    if isinstance(problem, KeyboardInterrupt | click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    if isinstance(problem, BrokenPipeError):
        # The reader went away (`tcomp ... | head`); keep Python from complaining again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    status, facts = describe(problem)
    if json:
        click.echo(json_module.dumps({"error": facts}))
    if isinstance(problem, click.ClickException):
        problem.show()
    elif not json:
        click.echo(f"error: {facts['text']}", err=True)
    if status == INTERNAL and _verbose():
        traceback.print_exception(problem)
    return status


def describe(problem: BaseException) -> tuple[int, dict[str, Any]]:
    """The exit status of a failure, and its facts for machine-readable output."""
    match problem:
        case CheckFailed():
            return CHECK_FAILED, {"code": None, "text": str(problem)}
        case InternalError():
            return INTERNAL, {**_facts(problem), "text": f"{problem}\n{REPORT}"}
        case Error():
            return USER_MISTAKE, _facts(problem)
        case click.ClickException():
            return USER_MISTAKE, {"code": None, "text": problem.format_message()}
        case IndexError():  # a gather left its tensor (product.md section 1, "Reads")
            return USER_MISTAKE, {"code": None, "text": str(problem)}
        case OSError():
            return USER_MISTAKE, {"code": None, "text": str(problem)}
        case MemoryError():
            return USER_MISTAKE, {
                "code": None,
                "text": "not enough memory for arrays of these sizes",
            }
    text = f"{type(problem).__name__}: {problem}\n{REPORT}"
    return INTERNAL, {"code": "TC099", "text": text}


def _facts(problem: Error) -> dict[str, Any]:
    span = problem.span
    place = span and {"file": span.file, "line": span.line, "column": span.column}
    return {
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "place": place,
        "text": str(problem),
    }


def _verbose() -> bool:
    try:
        return config.debug.get() > 0
    except BindingError:
        return False
