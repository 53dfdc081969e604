"""Asked-for work: rows, queue, execution, retries. What the work does belongs to its own room."""
