"""Money of agents: what is counted against the caps, who is paid, and the switch that ends it.

book.py      the tables: counts of the day, reservations, the switch
ledger.py    the built-in rail: accounts in the node's own database
payments.py  challenges of servers, and the proofs of what was paid
webhook.py   a rail that asks an endpoint of the operator's to pay
purse.py     all of it together, as the sandbox's port
"""
