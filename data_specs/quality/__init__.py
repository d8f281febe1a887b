"""Data-quality rules: the catalogue's rows and the expression of each."""
