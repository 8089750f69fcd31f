"""A Redshift to test against: its wire protocol, dialect, UNLOAD and COPY, in front of a PostgreSQL."""
