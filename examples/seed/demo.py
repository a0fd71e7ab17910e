"""Where the three programs find the server and the credentials.

`source .fathom/demo.env` sets them. Without that, the file itself is read, from the folder
that `make run` was started in.
"""

import os
import sys
from pathlib import Path


def setting(name):
    """The value of a variable of the environment, or else of `demo.env`."""
    if name in os.environ:
        return os.environ[name]
    demo_env = Path(os.environ.get("FATHOM_HOME", ".fathom"), "demo.env")
    if demo_env.exists():
        for line in demo_env.read_text(encoding="utf-8").splitlines():
            key, _, value = line.removeprefix("export ").partition("=")
            if key.strip() == name:
                return value.strip().strip("'\"")
    sys.exit(f"{name} is not set and {demo_env} does not hold it: is the server started with `make run`?")

