"""ResNet-18/50 (He et al. 2015) and ResNeXt-50 32x4d (Xie et al. 2016) at 224x224, batch 1."""

from tcomp.benchmarks.operations import Convolution, Epilogue
from tcomp.benchmarks.workload import Workload

BLOCK = Epilogue(bias=True, activation="relu")
BLOCK_END = Epilogue(bias=True, residual=True, activation="relu")


def _body(channels: int, size: int) -> Convolution:
    """The 3x3 convolution of a stage."""
    return Convolution((1, channels, size, size), channels, (3, 3), pad=(1, 1))


def _pointwise(into: int, out: int, size: int, stride: int = 1) -> Convolution:
    return Convolution((1, into, size, size), out, (1, 1), stride=stride)


WORKLOADS = (
    Workload("resnet", "conv", Convolution((1, 3, 224, 224), 64, (7, 7), stride=2, pad=(3, 3))),
    *(
        Workload("resnet", kind, _body(channels, size), accuracy)
        for channels, size, kind in (
            (64, 56, "conv3x3"),
            (128, 28, "conv3x3"),
            (256, 14, "conv3x3-small"),
            (512, 7, "conv3x3-small"),
        )
        for accuracy in ("strict", "standard", "fast")
    ),
    Workload("resnet", "conv", Convolution((1, 128, 56, 56), 128, (3, 3), stride=2, pad=(1, 1))),
    Workload("resnet", "conv", _pointwise(64, 256, 56)),
    Workload("resnet", "conv", _pointwise(256, 64, 56)),
    Workload("resnet", "conv", _pointwise(256, 512, 56, stride=2)),
    Workload("resnet", "conv", _pointwise(512, 128, 28)),
    Workload("resnet", "conv", _pointwise(1024, 256, 14)),
    Workload("resnet", "conv", _pointwise(512, 2048, 7)),
    Workload(
        "resnet", "fused", Convolution((1, 64, 56, 56), 64, (3, 3), pad=(1, 1), epilogue=BLOCK)
    ),
    Workload(
        "resnet",
        "fused",
        Convolution((1, 128, 28, 28), 128, (3, 3), pad=(1, 1), epilogue=BLOCK_END),
    ),
    Workload("resnet", "fused", Convolution((1, 64, 56, 56), 256, (1, 1), epilogue=BLOCK_END)),
    Workload("resnext", "conv", Convolution((1, 128, 56, 56), 128, (3, 3), pad=(1, 1), groups=32)),
    Workload("resnext", "conv", Convolution((1, 512, 14, 14), 512, (3, 3), pad=(1, 1), groups=32)),
)
