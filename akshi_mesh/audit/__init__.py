"""The node's audit log: one Merkle log of all that was done, refused, approved, spent, trusted.

log.py     appends a record, in the transaction of what it announces
book.py    reads records and checks them
"""
