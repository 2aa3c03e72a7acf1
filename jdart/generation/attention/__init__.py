"""Self-attention that is shared with a reference."""
