"""A Postgres connection by its URL, through psql; the password travels in the environment only."""

import os
import subprocess
import urllib.parse

PSQL = "/usr/lib/postgresql/15/bin/psql"


class Connection:
    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("postgresql", "postgres") or not parts.hostname:
            raise ValueError("the URL must start with the protocol `postgresql://` or `postgres://`")
        query = dict(urllib.parse.parse_qsl(parts.query))
        self.host, self.port = parts.hostname, parts.port or 5432
        self.user = urllib.parse.unquote(parts.username or "")
        self.database = urllib.parse.unquote(parts.path.lstrip("/")) or self.user
        self.schema = query.get("schema", "public")
        self._environment = {
            "PATH": os.environ.get("PATH", ""),
            "PGPASSWORD": urllib.parse.unquote(parts.password or ""),
            "PGCONNECT_TIMEOUT": query.get("connect_timeout", "5"),
            "PGSSLMODE": query.get("sslmode", "prefer"),
            "PGOPTIONS": f"-c search_path={self.schema} -c client_min_messages=warning",
            "PGAPPNAME": "langfuse",
        }

    def run(self, sql):
        """Runs the script, all of it or none; returns (rows as text, error text or None)."""
        done = subprocess.run(
            [PSQL, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-1",
             "-h", self.host, "-p", str(self.port), "-U", self.user, "-d", self.database],
            input=sql, text=True, capture_output=True, env=self._environment, check=False)
        return done.stdout.strip(), (done.stderr.strip() or f"psql ended with {done.returncode}") if done.returncode else None
