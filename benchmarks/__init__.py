"""Speed, measured: each file asks one question, and `results/` holds the answers."""
