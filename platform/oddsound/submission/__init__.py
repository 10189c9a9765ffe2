"""The challenge package: CSVs, meta.yaml, zip; and the check of one."""
