#!/usr/bin/env bash
# Package: ray 2.60.0.
# Behaviour: ray.init(address=...) with RAY_AUTH_MODE=token and no token raises ray.exceptions.AuthenticationError at once, before
#   any cluster is looked for. Its bases are RayError and Exception: neither ConnectionError, RuntimeError, ValueError nor PermissionError.
# One would guess otherwise: what ray.init raises of itself where there is no cluster, or a wrong address, are ConnectionError,
#   RuntimeError and ValueError, which is what a program catches to say "no cluster" in one line.
# Docs: https://docs.ray.io/en/latest/ray-core/api/doc/ray.init.html
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq ray==2.60.0
mkdir "$folder/home"
cat > "$folder/look.py" <<'PYTHON'
import sys

import ray

try:
    ray.init(address="127.0.0.1:6399", logging_level="ERROR")
except Exception as error:
    print(type(error).__name__, "of", ", ".join(kind.__name__ for kind in type(error).__mro__[1:-2]))
    print(str(error).split(". ")[0])
    if not isinstance(error, ray.exceptions.AuthenticationError):
        sys.exit("changed: another error for a missing token")
    if isinstance(error, (OSError, RuntimeError, ValueError)):
        sys.exit("changed: AuthenticationError is now caught with the errors of a connection")
else:
    sys.exit("changed: no token is asked for")
PYTHON
unset RAY_AUTH_TOKEN RAY_AUTH_TOKEN_PATH
HOME="$folder/home" RAY_AUTH_MODE=token "$folder/venv/bin/python" "$folder/look.py"
