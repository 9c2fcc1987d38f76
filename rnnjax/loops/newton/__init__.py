"""Newton's method over time: all states of any cell at once."""
