"""BERT-base at 128 and BERT-large at 384 positions, GPT-2 small, ViT-B/16, LLaMA 7B's decoding step.

Devlin et al. 2018; Radford et al. 2019; Dosovitskiy et al. 2020; Touvron et al. 2023. Linear layers store weights as
[out, in] (PyTorch), GPT-2's as [in, out].
"""

from tcomp.benchmarks.operations import BlockScaledProduct, Convolution, Epilogue, matmul
from tcomp.benchmarks.workload import Workload

BIAS, BIAS_GELU = Epilogue(bias=True), Epilogue(bias=True, activation="gelu")
BIAS_RESIDUAL = Epilogue(bias=True, residual=True)
MIXED, BYTES = ("u8", "i8", "i32"), ("i8", "i8", "i32")
BF16, F16 = ("bf16", "bf16", "bf16"), ("f16", "f16", "f16")

BERT = (
    Workload("bert", "skinny", matmul(128, 2304, 768, "nt", weights=True)),
    Workload("bert", "batched", matmul(128, 128, 64, "nt", batch=12)),
    Workload("bert", "batched", matmul(128, 64, 128, batch=12)),
    Workload("bert-large", "batched", matmul(384, 384, 64, "nt", batch=16)),
    Workload("bert", "fused", matmul(128, 3072, 768, "nt", weights=True, epilogue=BIAS_GELU)),
    Workload("bert", "fused", matmul(128, 768, 3072, "nt", weights=True, epilogue=BIAS_RESIDUAL)),
    Workload(
        "bert-large", "fused", matmul(384, 4096, 1024, "nt", weights=True, epilogue=BIAS_GELU)
    ),
    Workload("bert", "int8", matmul(128, 3072, 768, "nt", dtypes=MIXED, weights=True)),
    Workload("bert", "half", matmul(128, 3072, 768, "nt", dtypes=BF16, weights=True)),
    Workload("bert", "half", matmul(128, 128, 64, "nt", batch=12, dtypes=BF16)),
)
GPT2 = (
    Workload("gpt2", "vector", matmul(1, 2304, 768, weights=True, epilogue=BIAS)),
    Workload("gpt2", "vector", matmul(1, 768, 3072, weights=True)),
    Workload("gpt2", "vector", matmul(1, 50257, 768, "nt", weights=True)),
    Workload("gpt2", "batched", matmul(1, 1024, 64, "nt", batch=12)),
    Workload("gpt2", "batched", matmul(1, 64, 1024, batch=12)),
    Workload("gpt2", "fused", matmul(512, 3072, 768, weights=True, epilogue=BIAS_GELU)),
)
VIT = (
    Workload("vit", "conv", Convolution((1, 3, 224, 224), 768, (16, 16), stride=16)),
    Workload("vit", "skinny", matmul(197, 2304, 768, "nt", weights=True)),
    Workload("vit", "batched", matmul(197, 197, 64, "nt", batch=12)),
    Workload("vit", "batched", matmul(197, 64, 197, batch=12)),
    Workload("vit", "fused", matmul(197, 3072, 768, "nt", weights=True, epilogue=BIAS_GELU)),
)
LLAMA = (
    Workload("llama", "vector", matmul(1, 4096, 4096, "nt", weights=True)),
    Workload("llama", "skinny", matmul(8, 4096, 4096, "nt", weights=True)),
    Workload("llama", "int4", BlockScaledProduct(1, 4096, 4096)),
    Workload("llama", "int4", BlockScaledProduct(8, 4096, 4096)),
    Workload("llama", "int4", BlockScaledProduct(1, 11008, 4096)),
    Workload("llama", "int8", matmul(1, 4096, 4096, "nt", dtypes=BYTES, weights=True)),
    Workload("llama", "int8", matmul(8, 4096, 4096, "nt", dtypes=MIXED, weights=True)),
    Workload("llama", "half", matmul(1, 4096, 4096, "nt", dtypes=F16, weights=True)),
    Workload("llama", "half", matmul(8, 4096, 4096, "nt", dtypes=BF16, weights=True)),
)
WORKLOADS = (*BERT, *GPT2, *VIT, *LLAMA)
