"""The local machine: private files, live endpoints of a `skyhold up`, server programs, environment variables."""
