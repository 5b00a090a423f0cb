# Sourced by the scripts of this folder: where things are, what is installed, and how a script says what it does.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
name=$(basename "$0")
venv=$root/.venv
state=$root/.build
mkdir -p "$state"
export PYTHONUTF8=1 PYTHONDONTWRITEBYTECODE=${PYTHONDONTWRITEBYTECODE:-}

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
die() { printf '%s: %s\n' "$name" "$1" >&2; [ $# -lt 2 ] || printf '  next step: %s\n' "$2" >&2; exit 1; }

# need TOOL "what for" "how to get it"
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is missing ($2)" "$3"; }

# at_least HAVE WANT: version comparison
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1)" = "$2" ]; }

# changed STAMP FILE...: true when the files differ from when `settled STAMP FILE...` was last called
digest_of() { find "$@" -type f -not -name '*.pyc' -not -path '*/target/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1; }
changed() { local stamp=$state/$1; shift; [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$(digest_of "$@")" ]; }
settled() { local stamp=$state/$1; shift; digest_of "$@" > "$stamp"; }
