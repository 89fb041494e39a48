"""``xdsctl kv``: the store as it is, in etcdctl's words.

A *span* is a key, or the range of keys from it up to a range end. An *operation* is a get, put or del as a transaction
holds it; its command line is that of the command of the same name.
"""
