"""Wire APIs that others published."""
