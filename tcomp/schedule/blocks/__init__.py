"""Groups made block by block: parts take turns at each block, and hand on through the cache."""

from tcomp.schedule.blocks.choose import analytical_trace
from tcomp.schedule.blocks.lower import lower_blocks
from tcomp.schedule.blocks.space import BlockSpace
from tcomp.schedule.blocks.trace import KIND

__all__ = ["KIND", "BlockSpace", "analytical_trace", "lower_blocks"]
