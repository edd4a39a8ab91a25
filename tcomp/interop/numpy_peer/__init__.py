"""The NumPy code that a competent user would write for a program: what compiled kernels are timed beside.

Products are summed by `@` and `einsum`, windows by strided views, scatters by `bincount`, recurrences by a Python
loop over vectors. The translation starts from the program as written, before any rewriting.
"""

from tcomp.interop.numpy_peer.program import Peer, PeerUnavailable, translate

__all__ = ["Peer", "PeerUnavailable", "translate"]
