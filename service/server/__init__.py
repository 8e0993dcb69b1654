"""Hypercorn with an HTTP/1.1 engine of this project's own, for any ASGI app; it knows nothing of the product.

`run` is a process, from its socket to its drain; `serve` one event loop. There a connection (`connection`) reads
requests (`http1`, by the grammar in `wire`), and each is an `exchange` with the app. HTTP/2 and WebSockets go to
Hypercorn's own classes (`handover`). docs/server.md has the whole of it.
"""
