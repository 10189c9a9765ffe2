-- Beside `mlflow`, which POSTGRES_DB makes: accounts and permissions have a database of their own.
CREATE DATABASE accounts;
