"""postern: a REST service for accounts and tokens, posts and comments.

A request walks from `server` through `edge` (limits, deadlines, headers), `asgi` (the bridge to Flask), `app` and `web`
(Flask's wiring and machinery) to `api` (schemas, guards, views), which calls `services` (one use case, one transaction)
or reads through `context`; both reach the database by `repositories` over `models`. `errors`, `paging`, `config`,
`uuid7` and `trace` are values that all may know, `tokens` (with `keys`), `seals` and `passwords` what only they may.
`stack` puts these together, `cli` is the command `postern`, and `seeding` makes up rows. Imports go down only (ADR
0002).
"""

__version__ = "0.1.0"
