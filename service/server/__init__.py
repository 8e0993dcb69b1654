"""Hypercorn with an HTTP/1.1 engine of this project's own, for any ASGI app; it knows nothing of the product.

`run` is a process, from its socket to its drain, and `serve` one event loop. There a connection (`connection`) reads
requests (`http1`; `request` and `bodies` know how they stand on the wire, `answer` what goes back), and each is an
`exchange` with the app. HTTP/2 and WebSockets go to Hypercorn's own classes (`handover`). A `supervisor` may be above
several processes, each of them on a `leash`. More: docs/server.md.
"""
