#!/bin/sh
# Stands for the web image's entry point: the same checks, in the same order, then the migrations.
set -eu

if [ -z "${DATABASE_URL:-}" ]; then
    if [ -n "${DATABASE_HOST:-}" ] && [ -n "${DATABASE_USERNAME:-}" ] &&
        [ -n "${DATABASE_PASSWORD:-}" ] && [ -n "${DATABASE_NAME:-}" ]; then
        # Joined as they are: neither encoded nor given a port.
        DATABASE_URL="postgresql://${DATABASE_USERNAME}:${DATABASE_PASSWORD}@${DATABASE_HOST}/${DATABASE_NAME}"
        export DATABASE_URL
    else
        echo "Error: Required database environment variables are not set. Provide a postgres url for DATABASE_URL."
        exit 1
    fi
fi
if [ -n "${DATABASE_ARGS:-}" ]; then
    DATABASE_URL="${DATABASE_URL}?${DATABASE_ARGS}"
fi
if [ -z "${CLICKHOUSE_URL:-}" ]; then
    echo "Error: CLICKHOUSE_URL is not configured. Migrating from V2? Check out migration guide."
    exit 1
fi
export DIRECT_URL="${DIRECT_URL:-$DATABASE_URL}"

migrate() { /usr/local/lib/rig/python3 /usr/local/lib/rig/migrate.py "$1"; }

if [ "${LANGFUSE_AUTO_POSTGRES_MIGRATION_DISABLED:-}" != true ]; then
    migrate postgres || {
        status=$?
        echo "Applying database migrations failed. This is mostly caused by the database being unavailable."
        echo "Exiting..."
        exit "$status"
    }
fi
if [ "${LANGFUSE_AUTO_CLICKHOUSE_MIGRATION_DISABLED:-}" != true ]; then
    migrate clickhouse || {
        status=$?
        echo "Applying clickhouse migrations failed. This is mostly caused by the database being unavailable."
        echo "Exiting..."
        exit "$status"
    }
fi
exec "$@"
