"""A database that lets nobody in, and says why: what a pooler answers whom it does not serve."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SSL_REQUEST = 80877103


@contextmanager
def refusing(sqlstate: str, message: str) -> Iterator[str]:
    """Give the address of one that answers every start of a session with this error."""
    fields = {b"S": "FATAL", b"V": "FATAL", b"C": sqlstate, b"M": message}
    body = b"".join(name + value.encode() + b"\0" for name, value in fields.items()) + b"\0"

    class Refusal(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while head := self.rfile.read(8):
                length, code = struct.unpack("!II", head)
                if code != SSL_REQUEST:
                    self.rfile.read(length - 8)
                    self.wfile.write(b"E" + struct.pack("!I", len(body) + 4) + body)
                    return
                self.wfile.write(b"N")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Refusal) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"postgresql://u:pw-4711@127.0.0.1:{server.server_address[1]}/x"
        server.shutdown()
