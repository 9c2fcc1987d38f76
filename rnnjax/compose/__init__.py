"""The algebra: `Cell -> Cell`, one small file a combinator."""
