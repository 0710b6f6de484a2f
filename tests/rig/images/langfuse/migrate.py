"""Migrates Postgres or ClickHouse as the web image does at its start, in small.

The steps, the tables that remember them, and what is said when a step fails are those of
Langfuse 4.16; the schema itself is cut down to what the rig looks at.
"""

import hashlib
import os
import pathlib
import re
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from postgres_url import Connection

HERE = pathlib.Path(__file__).parent
# Prisma's own number; its migrations of one server never run side by side.
LOCK = 72707369


def fail(*lines):
    print(*lines, sep="\n", flush=True)
    sys.exit(1)


# -- Postgres, as `prisma migrate deploy` -------------------------------------

MEMORY = """
CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
    id VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL,
    logs TEXT,
    rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
);
"""


def connection_problem(database, text):
    place = f"`{database.host}:{database.port}`"
    if "password authentication failed" in text or "no password supplied" in text:
        return (f"Error: P1000: Authentication failed against database server, the provided database credentials "
                f"for `{database.user}` are not valid.")
    if re.search(r'database ".*" does not exist', text):
        return f"Error: P1003: Database `{database.database}` does not exist on the database server at {place}."
    if "permission denied for database" in text:
        return f"Error: P1010: User `{database.user}` was denied access on the database `{database.database}`"
    if "canceling statement due to lock timeout" in text:
        return "Error: P1002: Timed out trying to acquire a postgres advisory lock"
    return f"Error: P1001: Can't reach database server at {place}: {text.splitlines()[0]}"


def migrate_postgres():
    try:
        database = Connection(os.environ["DIRECT_URL"])
    except ValueError as error:
        fail(f"Error: P1013: The provided database string is invalid. {error}")
    print(f'Datasource "db": PostgreSQL database "{database.database}", schema "{database.schema}" '
          f'at "{database.host}:{database.port}"', flush=True)
    found, problem = database.run(
        f"SET lock_timeout = '10s'; SELECT pg_advisory_lock({LOCK}) IS NULL;"
        f"SELECT to_regclass('_prisma_migrations') IS NOT NULL;"
        f"SELECT count(*) FROM pg_tables WHERE schemaname = '{database.schema}';")
    if problem:
        fail(connection_problem(database, problem))
    known, tables = found.splitlines()[-2:]
    if known == "f" and int(tables) > 0:
        fail("Error: P3005", "", "The database schema is not empty. Read more about how to baseline an existing "
             "production database: https://pris.ly/d/migrate-baseline")
    applied = ""
    if known == "t":
        applied, problem = database.run('SELECT migration_name FROM "_prisma_migrations" WHERE finished_at IS NOT NULL')
        if problem:
            fail(connection_problem(database, problem))
    done = set(applied.splitlines())
    steps = sorted((HERE / "postgres").glob("*.sql"))
    print(f"{len(steps)} migrations found in prisma/migrations\n", flush=True)
    for step in steps:
        if step.stem in done:
            continue
        sql = step.read_text()
        _, problem = database.run(
            f"SELECT pg_advisory_xact_lock({LOCK});\n{MEMORY}\n{sql}\n"
            f'INSERT INTO "_prisma_migrations" (id, checksum, finished_at, migration_name, applied_steps_count) '
            f"VALUES ('{uuid.uuid4()}', '{hashlib.sha256(sql.encode()).hexdigest()}', now(), '{step.stem}', 1);")
        if problem:
            fail("Error: P3018", "", "A migration failed to apply. New migrations cannot be applied before the error "
                 "is recovered from.", "", f"Migration name: {step.stem}", "", f"Database error: {problem}")
        print(f"Applying migration `{step.stem}`", flush=True)
    print("No pending migrations to apply." if done >= {step.stem for step in steps}
          else "All migrations have been successfully applied.", flush=True)


# -- ClickHouse, as golang-migrate --------------------------------------------

def clickhouse(sql):
    url = os.environ["CLICKHOUSE_URL"].rstrip("/") + "/?" + urllib.parse.urlencode(
        {"database": os.environ.get("CLICKHOUSE_DB") or "default"})
    request = urllib.request.Request(url, data=sql.encode(), method="POST", headers={
        "X-ClickHouse-User": os.environ.get("CLICKHOUSE_USER", ""),
        "X-ClickHouse-Key": os.environ.get("CLICKHOUSE_PASSWORD", "")})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        fail(f"error: failed to open database: {error.read().decode(errors='replace').strip()}")
    except (urllib.error.URLError, OSError) as error:
        fail(f"error: failed to open database: {getattr(error, 'reason', error)}")


def migrate_clickhouse():
    for name in ("CLICKHOUSE_MIGRATION_URL", "CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD"):
        if not os.environ.get(name):
            fail(f"Error: {name} is not set.", f"Please set {name} in your environment variables.")
    # The stand-in speaks no native protocol: the address for it is checked, then HTTP is used.
    native = urllib.parse.urlsplit(os.environ["CLICKHOUSE_MIGRATION_URL"])
    http = urllib.parse.urlsplit(os.environ["CLICKHOUSE_URL"])
    if native.scheme != "clickhouse" or not native.hostname:
        fail(f"error: failed to open database: database driver: unknown driver {native.scheme} (forgotten import?)")
    if native.port is not None and native.port == (http.port or 80) and native.hostname == http.hostname:
        fail("error: failed to open database: [handshake] unexpected packet [72] from server")
    try:
        socket.getaddrinfo(native.hostname, native.port or 9000)
    except OSError as error:
        fail(f"error: failed to open database: dial tcp: lookup {native.hostname}: {error}")
    if os.environ.get("CLICKHOUSE_CLUSTER_ENABLED", "true") != "false":
        clickhouse("SELECT 1")
        fail("error: failed to open database: code: 139, message: There is no Zookeeper configuration in server config")

    clickhouse("CREATE TABLE IF NOT EXISTS schema_migrations (version Int64, dirty UInt8, sequence UInt64) "
               "ENGINE = MergeTree ORDER BY sequence")
    state = clickhouse("SELECT version, dirty FROM schema_migrations ORDER BY sequence DESC LIMIT 1")
    version, dirty = (int(field) for field in state.split("\t")) if state else (0, 0)
    if dirty:
        fail(f"error: Dirty database version {version}. Fix and force version.")
    steps = sorted((HERE / "clickhouse").glob("*.sql"))
    pending = [step for step in steps if int(step.stem.split("_")[0]) > version]
    for step in pending:
        number = int(step.stem.split("_")[0])
        started = time.monotonic()
        clickhouse(f"INSERT INTO schema_migrations VALUES ({number}, 1, {time.time_ns()})")
        for statement in step.read_text().split(";\n"):
            if statement.strip():
                clickhouse(statement)
        clickhouse(f"INSERT INTO schema_migrations VALUES ({number}, 0, {time.time_ns()})")
        print(f"{number}/u {step.stem.split('_', 1)[1]} ({(time.monotonic() - started) * 1000:.1f}ms)", flush=True)
    if not pending:
        print("no change", flush=True)


{"postgres": migrate_postgres, "clickhouse": migrate_clickhouse}[sys.argv[1]]()
