"""The poolwise command."""
