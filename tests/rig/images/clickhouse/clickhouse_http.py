#!/usr/bin/env python3
"""The ClickHouse HTTP interface over chdb, the ClickHouse engine in a Python process.

For machines that can install a Python package but no ClickHouse server.  It is
meant for tests: every answer is built in memory before it is sent, and there is
one user.  Needs nothing but `pip install chdb`.

The engine is newer than the servers which applications are written for, and its
defaults moved: 26.8 began to read a bare integer for a DateTime64 in JSON as
seconds instead of ticks, which Langfuse 4 does not survive.  So the sessions run
with the defaults of 25.12 (`--compatibility`).

    CLICKHOUSE_USER=clickhouse CLICKHOUSE_PASSWORD=clickhouse \\
        python3 clickhouse_http.py --listen 127.0.0.1 --port 8123 --data /var/lib/clickhouse

Spoken: GET/HEAD /ping, /replicas_status, and GET/POST / with
  * the statement in `query`, in the body, or split over both (INSERT ... FORMAT
    in `query`, rows in the body); chunked, gzip and deflate bodies,
  * credentials in Basic auth, X-ClickHouse-User/-Key or user/password,
  * `database`, `default_format`, `query_id`, `session_id`, `param_*`,
  * every other URL parameter as a setting,
  * gzip answers with enable_http_compression=1,
  * X-ClickHouse-Summary/-Query-Id/-Format/-Server-Display-Name/-Timezone, and
    X-ClickHouse-Exception-Code with the status code a real server would use.

Not spoken: the native protocol (port 9000), external tables, roles and quotas,
progress headers, the server's own binary compression (`compress`/`decompress`).
"""

import argparse
import base64
import binascii
import gzip
import hmac
import json
import os
import re
import signal
import sys
import threading
import time
import traceback
import urllib.parse
import uuid
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chdb import session as chdb_session

# URL parameters which steer the HTTP interface and are not settings.
RESERVED = {
    "query", "query_id", "database", "default_format", "user", "password",
    "session_id", "session_timeout", "session_check", "compress", "decompress",
    "enable_http_compression", "wait_end_of_query", "buffer_size", "quota_key",
    "role", "stacktrace", "close_session",
}
# Settings which only make sense with a server in front of the engine.
IGNORED_PREFIXES = ("http_", "send_progress_in_http_headers", "async_insert", "wait_for_async_insert",
                    "cancel_http_readonly_queries_on_client_close", "replace_running_query")

# ClickHouse's exceptionCodeToHTTPStatus, shortened to what a client may meet.
STATUS_BY_CODE = {
    **dict.fromkeys((194, 192, 193, 516), 401),
    **dict.fromkeys((291, 497), 403),
    **dict.fromkeys((6, 8, 9, 26, 27, 28, 36, 38, 41, 42, 43, 44, 53, 62, 70, 72, 117, 130, 320, 321, 386, 441, 456, 457), 400),
    **dict.fromkeys((16, 46, 47, 50, 56, 60, 63, 73, 78, 80, 81, 86, 115), 404),
    394: 500, 241: 500, 159: 408, 48: 501, 76: 503, 209: 503, 164: 500, 307: 500,
}
CODE = re.compile(r"Code:\s*(\d+)\.")
FORMAT = re.compile(r"\bFORMAT\s+([A-Za-z0-9_]+)\s*(?:SETTINGS\b[^'\"`]*)?;?\s*$", re.I)
IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_.]*$")
CONTENT_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONStrings": "application/json; charset=UTF-8",
    "JSONColumns": "application/json; charset=UTF-8",
    "JSONObjectEachRow": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONStringsEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONEachRowWithProgress": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
}


class ClickHouseError(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code

    @classmethod
    def of(cls, code, name, text):
        return cls(code, f"Code: {code}. DB::Exception: {text} ({name})")


def sql_string(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(text):
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


class Engine:
    """The chdb data directory; each request gets a session (a connection) of its own."""

    def __init__(self, path, compatibility=""):
        os.makedirs(path, exist_ok=True)
        self.path = path
        self.compatibility = compatibility  # the release whose default settings are used
        self.root = chdb_session.Session(path)  # keeps the engine open between requests
        self.lock = threading.Lock()
        self.named = {}
        self.version = self.root.query("SELECT version()", "TabSeparated").bytes().decode().strip()
        self.timezone = self.root.query("SELECT timezone()", "TabSeparated").bytes().decode().strip()

    def run(self, sql, fmt, database, settings, params, readonly, session_id=None):
        session = self._open(session_id)
        try:
            if self.compatibility:
                self._query(session, f"SET compatibility = {sql_string(self.compatibility)}", "Null", None)
            if database and database != "default":
                self._query(session, f"USE {identifier(database)}", "Null", None)
            if settings:
                assignments = ", ".join(f"{name} = {sql_string(value)}" for name, value in settings.items())
                self._query(session, f"SET {assignments}", "Null", None)
            # A row that was answered for must be there for the next reader.
            self._query(session, "SET async_insert = 0" + (", readonly = 2" if readonly else ""), "Null", None)
            return self._query(session, sql, fmt, params)
        finally:
            if session_id is None:
                session.close()

    def _open(self, session_id):
        with self.lock:
            if session_id is None:
                return chdb_session.Session(self.path)
            if session_id not in self.named:
                self.named[session_id] = chdb_session.Session(self.path)
            return self.named[session_id]

    @staticmethod
    def _query(session, sql, fmt, params):
        try:
            result = session.query(sql, fmt, params=params or None)
        except Exception as error:  # chdb raises ChdbError, RuntimeError or ValueError
            text = str(error)
            found = CODE.search(text)
            raise ClickHouseError(int(found.group(1)) if found else 1001, text if found else f"Code: 1001. DB::Exception: {text}") from error
        if result is None:
            return b"", {}
        data = bytes(result.bytes() or b"")
        counts = {}
        for key, method in (("read_rows", "storage_rows_read"), ("read_bytes", "storage_bytes_read"),
                            ("written_rows", "rows_written"), ("written_bytes", "bytes_written"),
                            ("result_rows", "rows_read"), ("result_bytes", "bytes_read")):
            try:
                counts[key] = str(int(getattr(result, method)() or 0))
            except (AttributeError, TypeError):
                counts[key] = "0"
        counts["total_rows_to_read"] = "0"
        counts["elapsed_ns"] = str(int(float(result.elapsed() or 0) * 1e9))
        return data, counts

    def close(self):
        with self.lock:
            for session in self.named.values():
                session.close()
            self.named.clear()
            self.root.close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "ClickHouse-chdb"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1

    # -- plumbing -----------------------------------------------------------
    def log_message(self, *_):
        pass

    def _respond(self, status, body, headers=(), content_type="text/plain; charset=UTF-8", head=False):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Server-Display-Name", "chdb")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if not head:
            self.wfile.write(body)
        self.wfile.flush()

    def _body(self):
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            parts = []
            while True:
                size = int(self.rfile.readline().split(b";")[0].strip() or b"0", 16)
                if size == 0:
                    while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                        pass
                    break
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        encoding = (self.headers.get("Content-Encoding") or "").lower()
        if encoding in ("gzip", "x-gzip"):
            return gzip.decompress(body)
        if encoding == "deflate":
            return zlib.decompress(body)
        if encoding and encoding != "identity":
            raise ClickHouseError.of(48, "NOT_IMPLEMENTED", f"Unknown compression method: {encoding}")
        return body

    def _credentials(self, query):
        user, password = query.pop("user", None), query.pop("password", None)
        if self.headers.get("X-ClickHouse-User") is not None:
            return self.headers["X-ClickHouse-User"], self.headers.get("X-ClickHouse-Key") or ""
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() == "basic":
            try:
                name, _, secret = base64.b64decode(token).decode().partition(":")
                return name, secret
            except (binascii.Error, UnicodeDecodeError):
                return "", ""
        return user or "default", password or ""

    def _authenticate(self, query):
        user, password = self._credentials(query)
        server = self.server
        right_user = hmac.compare_digest(user.encode(), server.user.encode())
        right_password = hmac.compare_digest(password.encode(), server.password.encode())
        if not (right_user and right_password):
            raise ClickHouseError.of(516, "AUTHENTICATION_FAILED",
                                     f"{user}: Authentication failed: password is incorrect, or there is no user with such name.")
        return user

    # -- methods ------------------------------------------------------------
    def do_HEAD(self):
        self._handle(head=True)

    def do_GET(self):
        self._handle()

    def do_POST(self):
        self._handle()

    def _handle(self, head=False):
        started = time.monotonic()
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        query_id = query.get("query_id") or self.headers.get("X-ClickHouse-Query-Id") or str(uuid.uuid4())
        sql = ""
        try:
            body = self._body() if self.command == "POST" else b""
            if url.path in ("/ping", "/replicas_status"):
                return self._respond(200, b"Ok.\n", head=head)
            if url.path == "/" and self.command != "POST" and "query" not in query:
                return self._respond(200, b"Ok.\n", head=head)
            if url.path not in ("/", "/query"):
                return self._respond(404, f"There is no handle {url.path}\n".encode(), head=head)
            self._authenticate(query)
            sql, data, summary, fmt = self._execute(query, body)
        except ClickHouseError as error:
            return self._fail(error, query_id, sql or query.get("query", ""), head)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            return None
        except Exception as error:  # a fault of this file: say so, and go on
            traceback.print_exc()
            return self._fail(ClickHouseError.of(1001, "STD_EXCEPTION", repr(error)), query_id, sql, head)
        headers = [("X-ClickHouse-Query-Id", query_id), ("X-ClickHouse-Timezone", self.server.engine.timezone),
                   ("X-ClickHouse-Format", fmt), ("X-ClickHouse-Summary", json.dumps(summary, separators=(",", ":")))]
        if query.get("enable_http_compression") == "1" and "gzip" in (self.headers.get("Accept-Encoding") or ""):
            data = gzip.compress(data, 1)
            headers.append(("Content-Encoding", "gzip"))
        self.server.note(f"{self.command} {time.monotonic() - started:.3f}s {len(data)}B", sql)
        return self._respond(200, data, headers, CONTENT_TYPES.get(fmt, "text/plain; charset=UTF-8"), head)

    def _execute(self, query, body):
        text = body.decode("utf-8", "replace")
        sql = query.get("query", "")
        if sql and text:
            sql = sql.rstrip() + "\n" + text
        elif text:
            sql = text
        if not sql.strip():
            raise ClickHouseError.of(62, "SYNTAX_ERROR", "Empty query")
        settings, params = {}, {}
        for name, value in query.items():
            if name.startswith("param_"):
                params[name[len("param_"):]] = value
            elif name not in RESERVED and not name.startswith(IGNORED_PREFIXES):
                if not IDENTIFIER.match(name):
                    raise ClickHouseError.of(115, "UNKNOWN_SETTING", f"Unknown setting '{name}'")
                settings[name] = value
        head = query.get("query") or sql
        found = FORMAT.search(head[-2000:]) if not head.lstrip()[:6].upper() == "INSERT" else None
        fmt = found.group(1) if found else (query.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated")
        database = query.get("database") or self.headers.get("X-ClickHouse-Database") or self.server.database
        data, summary = self.server.engine.run(sql, fmt, database, settings, params, self.command != "POST", query.get("session_id"))
        return sql, data, summary, fmt

    def _fail(self, error, query_id, sql, head):
        version = self.server.engine.version
        text = str(error).strip()
        if "(version " not in text:
            text += f" (version {version} (chdb))"
        self.server.note(f"{self.command} FAILED code={error.code}: {text[:400]}", sql, always=True)
        self._respond(STATUS_BY_CODE.get(error.code, 500), (text + "\n").encode(),
                      [("X-ClickHouse-Query-Id", query_id), ("X-ClickHouse-Exception-Code", str(error.code))], head=head)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address, engine, user, password, database, verbose):
        self.engine, self.user, self.password = engine, user, password
        self.database, self.verbose = database, verbose
        super().__init__(address, Handler)

    def note(self, what, sql, always=False):
        if self.verbose or always:
            line = " ".join(sql[: 4000 if always else 300].split())
            print(f"{time.strftime('%H:%M:%S')} {what} | {line}", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description="ClickHouse's HTTP interface over chdb")
    parser.add_argument("--listen", default=os.environ.get("CLICKHOUSE_HTTP_LISTEN", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("CLICKHOUSE_HTTP_PORT", "8123")))
    parser.add_argument("--data", default=os.environ.get("CLICKHOUSE_HTTP_DATA", "/var/lib/clickhouse"))
    parser.add_argument("--compatibility", default=os.environ.get("CLICKHOUSE_HTTP_COMPATIBILITY", "25.12"),
                        help="default settings of this ClickHouse release; '' for the engine's own (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", default=os.environ.get("CLICKHOUSE_HTTP_VERBOSE") == "1")
    args = parser.parse_args()
    user = os.environ.get("CLICKHOUSE_USER") or "default"
    password = os.environ.get("CLICKHOUSE_PASSWORD") or ""
    database = os.environ.get("CLICKHOUSE_DB") or "default"
    engine = Engine(args.data, args.compatibility)
    if database != "default":
        engine.root.query(f"CREATE DATABASE IF NOT EXISTS {identifier(database)}")
    server = Server((args.listen, args.port), engine, user, password, database, args.verbose)

    def stop(*_):
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"ClickHouse {engine.version} (chdb), http://{args.listen}:{args.port}, data in {args.data}", file=sys.stderr, flush=True)
    server.serve_forever(poll_interval=0.2)
    server.server_close()
    engine.close()


if __name__ == "__main__":
    main()
