"""Search space -> Optuna -> Ray Tune. The only room that imports ray.

What Ray reads from the environment while it is imported is set here, where the user hasn't.
"""

import os

# A cluster asks for its token by default; a client sends it only when told so.
os.environ.setdefault("RAY_AUTH_MODE", "token")
# stdout is data: Tune's new output engine prints there even with verbose=0.
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
