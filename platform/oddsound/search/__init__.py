"""Search space -> Optuna -> Ray Tune. The only room that imports ray."""
