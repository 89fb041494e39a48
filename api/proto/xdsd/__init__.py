"""Wire APIs that are our own."""
