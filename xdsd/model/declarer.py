"""Who declares an object that is shown, where that is not the store."""

SOURCE = "xdsd.io/source"
"""The annotation that names the source."""
