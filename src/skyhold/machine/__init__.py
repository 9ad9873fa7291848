"""This machine: private files, live endpoints of a `skyhold up`, programs of servers, variables of the shell."""
