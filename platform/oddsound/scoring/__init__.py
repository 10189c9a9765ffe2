"""Anomaly scores, AUC, pAUC, omega, decision thresholds, score files."""
