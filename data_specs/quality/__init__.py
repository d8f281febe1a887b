"""Data-quality rules: the catalog's rows and the expression of each."""
