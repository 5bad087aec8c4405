"""Llama (Touvron et al. 2023) and models of its shape, such as SmolLM2."""
