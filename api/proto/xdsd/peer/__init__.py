"""What the daemons of different meshes tell each other, by version."""
