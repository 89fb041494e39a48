"""Version 1 of the peering API."""
