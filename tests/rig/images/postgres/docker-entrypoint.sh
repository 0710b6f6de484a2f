#!/bin/bash
# Stands for the official image's entry point, as far as a Compose file can tell the difference.
set -euo pipefail

# `-c shared_buffers=…` alone means the server with these options.
if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
if [ "$1" != postgres ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chmod 0700 "$PGDATA"
    find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

refuse() {
    printf 'Error: %s\n' "$*" >&2
    exit 1
}

# from_file NAME: NAME or the content of the file that NAME_FILE names, never both.
from_file() {
    local name=$1 file="${1}_FILE"
    if [ -n "${!name:-}" ] && [ -n "${!file:-}" ]; then refuse "both $name and $file are set (but are exclusive)"; fi
    if [ -n "${!file:-}" ]; then export "$name=$(<"${!file}")"; fi
    unset "$file"
}

first_start() {
    local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$method" != trust ]; then
        refuse "Database is uninitialized and superuser password is not specified." \
            "You must specify POSTGRES_PASSWORD to a non-empty value for the superuser."
    fi
    # Local and loopback connections are trusted, as initdb has it; from elsewhere a password is asked for.
    # shellcheck disable=SC2086 # the variable holds several options
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
        --auth-local=trust --auth-host=trust ${POSTGRES_INITDB_ARGS:-}
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
    printf "listen_addresses = '*'\n" >>"$PGDATA/postgresql.conf"

    # Not reachable from outside until the scripts are through.
    pg_ctl -D "$PGDATA" -w start -o "-c listen_addresses='' -p 5432" >/dev/null
    local run=(psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER")
    if [ "$POSTGRES_DB" != postgres ]; then
        "${run[@]}" --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
    fi
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh) printf '%s: running %s\n' "$0" "$script" && if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
            *.sql) printf '%s: running %s\n' "$0" "$script" && "${run[@]}" --dbname "$POSTGRES_DB" -f "$script" ;;
            *.sql.gz) printf '%s: running %s\n' "$0" "$script" && gunzip -c "$script" | "${run[@]}" --dbname "$POSTGRES_DB" ;;
            *'*') ;;
            *) printf '%s: ignoring %s\n' "$0" "$script" ;;
        esac
    done
    pg_ctl -D "$PGDATA" -m fast -w stop >/dev/null
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
}

from_file POSTGRES_PASSWORD
from_file POSTGRES_USER
from_file POSTGRES_DB
from_file POSTGRES_INITDB_ARGS
: "${POSTGRES_PASSWORD:=}" "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}"
if [ -s "$PGDATA/PG_VERSION" ]; then
    printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
else
    first_start
fi
exec "$@"
