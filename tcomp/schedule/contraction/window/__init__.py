"""Contractions whose one side is read through a window: convolutions without a matrix of patches."""
