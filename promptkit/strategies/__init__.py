"""The contract of a strategy, and the MindSpore parts it builds from."""
