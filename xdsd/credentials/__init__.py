"""Credentials: certificates with their keys, and authorities, that operators keep with the daemon for proxies to use.

A credential has a name in a namespace. ``reading`` takes the files that it is made of and says what is wrong with them;
``kept`` is its form in the store, where it is sealed with the daemon's sealing key; ``register`` follows the store;
``foreign`` is what platforms hold beside it; ``messages`` writes what proxies are given. Nobody but proxies that may use
one reads a key back: no call, no log, no error.
"""
