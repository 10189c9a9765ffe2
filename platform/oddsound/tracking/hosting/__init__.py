"""An MLflow server of our own: on a laptop's loopback, or for a group with accounts.

Nothing here imports MLflow before it must: the process that watches the server stays small.
"""
