#!/bin/sh
# Stands for the worker image's entry point: it migrates nothing, whatever the environment says.
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

# The real worker fills in the model prices once, at its start. Where the schema is not there yet it
# says so, goes on, and never tries again.
if [ "${1:-}" = langfuse-local ]; then
    /usr/local/lib/rig/python3 /usr/local/lib/rig/seed.py || true
fi
exec "$@"
