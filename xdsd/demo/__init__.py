"""The Bookinfo demo: a small mesh of real Envoys on loopback, started and stopped as one."""
