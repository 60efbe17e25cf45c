"""The product on one machine: `make`'s first steps, the embedded PostgreSQL and Redis, and `manage.py up`."""
