"""The task recipes: what a network is trained to do, and the simple models to hold it against."""

TASKS = (
    "language",
    "zaremba",
    "zaremba_medium",
    "zaremba_large",
    "reviews",
    "images",
    "speakers",
    "caption",
    "emoji",
    "draw",
    "tunes",
    "tagging",
    "hanja",
    "blank",
    "pronounce",
    "forecast",
    "music",
    "memory",
)
