"""xdsctl, as a person or a script runs it."""
