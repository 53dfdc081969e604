"""The use cases: authorise, change rows, audit, queue. The only layer that combines the others."""
