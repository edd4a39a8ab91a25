"""Networks that make images: DCGAN, FSRCNN, U-Net.

Radford et al. 2015 (64 filters, 64x64 images); Dong et al. 2016 (d=56, s=12, scale 3); Ronneberger et al. 2015, at half
its width as in diffusion models.
"""

from tcomp.benchmarks.operations import Convolution
from tcomp.benchmarks.workload import Workload


def _up(into: int, out: int, size: int, *, batch: int = 1) -> Convolution:
    """DCGAN's layer: twice the size."""
    return Convolution(
        (batch, into, size, size), out, (4, 4), stride=2, pad=(1, 1), transposed=True
    )


WORKLOADS = (
    Workload("dcgan", "transposed", Convolution((1, 100, 1, 1), 512, (4, 4), transposed=True)),
    Workload("dcgan", "transposed", _up(512, 256, 4)),
    Workload("dcgan", "transposed", _up(256, 128, 8)),
    Workload("dcgan", "transposed", _up(128, 64, 16)),
    Workload("dcgan", "transposed", _up(64, 3, 32)),
    Workload("dcgan", "transposed", _up(256, 128, 8, batch=16)),
    Workload("fsrcnn", "conv", Convolution((1, 1, 64, 64), 56, (5, 5), pad=(2, 2))),
    Workload("fsrcnn", "conv3x3", Convolution((1, 12, 64, 64), 12, (3, 3), pad=(1, 1))),
    Workload(
        "fsrcnn",
        "transposed",
        Convolution((1, 56, 64, 64), 1, (9, 9), stride=3, pad=(4, 4), transposed=True),
    ),
    Workload(
        "unet", "transposed", Convolution((1, 256, 32, 32), 128, (2, 2), stride=2, transposed=True)
    ),
    Workload("unet", "conv3x3", Convolution((1, 128, 128, 128), 64, (3, 3), pad=(1, 1))),
    Workload("unet", "conv", Convolution((1, 64, 128, 128), 2, (1, 1))),
)
