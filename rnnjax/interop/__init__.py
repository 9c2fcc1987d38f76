"""Models and weights to and from other programs."""
