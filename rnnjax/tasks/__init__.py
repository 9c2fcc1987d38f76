"""The task recipes: what a network is trained to do, and the simple models to hold it against."""

TASKS = ("language", "memory", "images", "reviews", "speakers", "zaremba", "zaremba_medium", "zaremba_large")
