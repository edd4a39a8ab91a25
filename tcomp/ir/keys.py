"""Texts that order and tell apart nodes, of bounded length.

A node that is used twice is written out twice in its users' text, so the text of `y = x*x; z = y*y; ...`
doubles with every line. Long texts are therefore replaced by a digest of them.
"""

from __future__ import annotations

import hashlib

LONGEST = 4000  # characters; larger than any key but those of deeply shared expressions


def bounded(text: str) -> str:
    """The text, or where it is long its beginning and a digest; equal for equal texts in every process."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:16]}#{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"
