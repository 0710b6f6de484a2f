"""A small Ken: an application that serves from its own Postgres.

`/healthz` says that the process answers; `/` counts the conversations, by a query each time.
The database is named by libpq's own variables (PGHOST, PGUSER, PGPASSWORD, PGDATABASE).
"""

import json
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def conversations():
    done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-w", "-c", "SELECT count(*) FROM conversations"],
                          capture_output=True, text=True, timeout=10, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return int(done.stdout)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/healthz":
            return self.answer(200, {"status": "ok"})
        if self.path != "/":
            return self.answer(404, {"error": "not found"})
        try:
            return self.answer(200, {"conversations": conversations()})
        except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
            return self.answer(503, {"error": str(error)})

    def answer(self, status, value):
        body = (json.dumps(value) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("0.0.0.0", 8080), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
print("Ken listens on 8080", file=sys.stderr, flush=True)
server.serve_forever(poll_interval=0.1)
