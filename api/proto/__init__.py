"""Wire APIs: the ``.proto`` sources and, beside each, what ``scripts/protos`` generates from it."""
