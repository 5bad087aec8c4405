"""What decoders share: pre-norm layers, causal attention, and a table of what an architecture's files are called."""
