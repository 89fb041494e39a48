"""The admin API, from both sides."""
