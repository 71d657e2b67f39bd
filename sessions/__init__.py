"""The catalog: SQLAlchemy models, queries and migrations."""
