"""The HTTP contract: schemas, guards and one module of thin views per resource.

A view calls one thing, a use case of `services` or a reading of the context, and says how it looks as JSON.
"""
