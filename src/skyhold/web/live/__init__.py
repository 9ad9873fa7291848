"""Live events: watched flights and orders, compared with PostgreSQL, and the streams to their listeners."""
