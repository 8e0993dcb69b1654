"""Use cases: one function each, in one transaction, with the rules. Nothing here knows Flask or SQL."""
