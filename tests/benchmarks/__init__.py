"""Benchmarks: each prints one JSON object as its last line, and compares in the same run with the bare floor."""
