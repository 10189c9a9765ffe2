"""The `oddsound` command: one module a stage, thin; heavy imports only inside the commands."""
