"""The peers of `make bench`: the same five kinds of work on the same tables, as each framework's users write it.

Each reads DATABASE_URL and SECRET_KEY from the environment, and imports nothing of the service; but for `waiting`,
which is the service's own bridge and edge around a view that waits, and for `alone`, which is no peer but the service
without its batches (`make bench-one-connection`).
"""
