"""Loop nests over flat buffers with explicit vectors: what code generation prints."""
