"""The task recipes: what a network is trained to do, and the classical models to hold it against."""
