"""The stream between the daemons of different meshes, both ends; what is said on it is decided in ``xdsd.peering``."""
