"""The language models that promptkit brings itself, on MindSpore."""
