"""Benchmarks: ours beside the rival and beside the limit of the engine, in one run."""
