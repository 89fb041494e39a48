"""The commands of ``xdsctl``, a module each."""
