#!/bin/sh
# Finds a Python of at least 3.11 and lets it do the set-up (setup.py beside this file). `make` calls this; see `make help`.
# BANKGATE_PYTHON names an interpreter to use instead of the first one found.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

fits() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -n "${BANKGATE_PYTHON:-}" ]; then
    if ! fits "$BANKGATE_PYTHON"; then
        echo "set-up: BANKGATE_PYTHON=$BANKGATE_PYTHON is not a Python of at least 3.11" >&2
        exit 2
    fi
    exec "$BANKGATE_PYTHON" "$here/setup.py" "$@"
fi

for candidate in python3.13 python3.12 python3.11 python3 python; do
    if fits "$candidate"; then
        exec "$candidate" "$here/setup.py" "$@"
    fi
done

cat >&2 <<'TEXT'
set-up: no Python of at least 3.11 was found (tried python3.13, python3.12, python3.11, python3, python).
  Debian 12 or later, Ubuntu 24.04 or later:  sudo apt-get install python3 python3-venv
  macOS:                                      brew install python@3.13
  One that is installed elsewhere:            BANKGATE_PYTHON=/path/to/python3 make demo
TEXT
exit 2
