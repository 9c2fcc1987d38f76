"""One small file a family of cells."""
