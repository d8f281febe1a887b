"""The face of the project."""
