#!/bin/sh
# Stands for the official image's entry point, as far as a Compose file can tell the difference.
set -eu

# Options or a configuration file alone mean the server with them.
case ${1:-} in
    -* | *.conf) set -- redis-server "$@" ;;
esac

if [ "${1:-}" = redis-server ]; then
    if [ "$(id -u)" = 0 ]; then
        find . \! -user redis -exec chown redis '{}' +
        exec setpriv --reuid=redis --regid=redis --init-groups -- "$0" "$@"
    fi
    # The official build serves other hosts without being asked to; Debian's does not.
    case " $* " in
        *protected-mode* | *.conf\ *) ;;
        *) set -- "$@" --protected-mode no ;;
    esac
    umask 0077
fi
exec "$@"
