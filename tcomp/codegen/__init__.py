"""Loop nests to LLVM IR."""
