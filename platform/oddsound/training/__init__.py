"""Losses, sampler and schedule; one trial from configuration to bundle. Knows neither Ray nor MLflow."""
