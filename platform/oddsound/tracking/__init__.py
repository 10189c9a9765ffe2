"""What is written to MLflow and how it is read back. The only room that imports mlflow."""
