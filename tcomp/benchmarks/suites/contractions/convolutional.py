"""MobileNetV2, VGG-16, CSRNet, GoogLeNet, Inception v3, wav2vec 2.0 and C3D, batch 1.

Sandler et al. 2018; Simonyan and Zisserman 2014; Li et al. 2018 (dilated back end at an eighth of 224x224); Szegedy et
al. 2014, 2015; Baevski et al. 2020; Tran et al. 2014.
"""

from tcomp.benchmarks.operations import Convolution, Epilogue
from tcomp.benchmarks.workload import Workload

SAME = (1, 1)
BIAS_RELU6 = Epilogue(bias=True, activation="relu6")


def _depthwise(channels: int, size: int, stride: int = 1) -> Convolution:
    image = (1, channels, size, size)
    return Convolution(image, channels, (3, 3), stride=stride, pad=SAME, groups=channels)


def _vgg(into: int, out: int, size: int) -> Convolution:
    return Convolution((1, into, size, size), out, (3, 3), pad=SAME)


MOBILENET = (
    Workload("mobilenet", "depthwise", _depthwise(96, 112, stride=2)),
    Workload("mobilenet", "depthwise", _depthwise(144, 56)),
    Workload("mobilenet", "depthwise", _depthwise(192, 28)),
    Workload("mobilenet", "depthwise", _depthwise(384, 14)),
    Workload("mobilenet", "depthwise", _depthwise(960, 7)),
    Workload("mobilenet", "conv", Convolution((1, 144, 56, 56), 24, (1, 1))),
    Workload("mobilenet", "conv", Convolution((1, 960, 7, 7), 320, (1, 1))),
    Workload("mobilenet", "fused", Convolution((1, 24, 56, 56), 144, (1, 1), epilogue=BIAS_RELU6)),
)
VGG = (
    Workload("vgg", "conv3x3", _vgg(128, 128, 112)),
    Workload("vgg", "conv3x3", _vgg(256, 256, 56), "fast"),
    Workload("vgg", "conv3x3", _vgg(512, 512, 28)),
    Workload("vgg", "conv3x3-small", _vgg(512, 512, 14)),
    Workload("csrnet", "conv", Convolution((1, 512, 28, 28), 512, (3, 3), pad=(2, 2), dilation=2)),
    Workload("csrnet", "conv", Convolution((1, 128, 28, 28), 64, (3, 3), pad=(2, 2), dilation=2)),
)
OTHERS = (
    Workload("googlenet", "conv", Convolution((1, 16, 28, 28), 32, (5, 5), pad=(2, 2))),
    Workload("googlenet", "conv", Convolution((1, 48, 7, 7), 128, (5, 5), pad=(2, 2))),
    Workload("inception", "conv", Convolution((1, 192, 17, 17), 192, (1, 7), pad=(0, 3))),
    Workload("wav2vec", "conv", Convolution((1, 512, 1599), 512, (3,), stride=2)),
    Workload("c3d", "conv", Convolution((1, 64, 8, 28, 28), 64, (3, 3, 3), pad=(1, 1, 1))),
)
WORKLOADS = (*MOBILENET, *VGG, *OTHERS)
