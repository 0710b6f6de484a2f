#!/bin/bash
# Stands for the ClickHouse image's entry point: takes the same variables and folders.
set -euo pipefail

if [ $# -gt 0 ] && [ "${1:0:1}" != - ]; then exec "$@"; fi

if [ "$(id -u)" = 0 ]; then
    chown -R clickhouse:clickhouse /var/lib/clickhouse
    exec setpriv --reuid=clickhouse --regid=clickhouse --init-groups -- "$0" "$@"
fi
if [ ! -w /var/lib/clickhouse ]; then
    echo "Couldn't create necessary directory or change its permissions: /var/lib/clickhouse" >&2
    exit 1
fi
if [ -n "${CLICKHOUSE_PASSWORD_FILE:-}" ]; then
    CLICKHOUSE_PASSWORD=$(<"$CLICKHOUSE_PASSWORD_FILE")
    export CLICKHOUSE_PASSWORD
fi

# The settings themselves are not applied, but a file that the server could not read stops it here too.
/usr/local/lib/rig/python3 - <<'CHECK'
import glob, sys, xml.etree.ElementTree as tree
for path in sorted(glob.glob("/etc/clickhouse-server/*.d/*.xml")):
    try:
        root = tree.parse(path).getroot().tag
        if root not in ("clickhouse", "yandex"):
            raise ValueError(f"root element is <{root}>, not <clickhouse>")
    except Exception as error:
        sys.exit(f"Processing configuration file '{path}' failed: {error}")
CHECK

export PYTHONPATH=/usr/local/lib/rig/site
exec /usr/local/lib/rig/python3 /clickhouse_http.py --listen 0.0.0.0 --port 8123 --data /var/lib/clickhouse
