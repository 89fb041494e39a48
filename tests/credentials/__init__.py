"""Credentials that are kept for proxies."""
