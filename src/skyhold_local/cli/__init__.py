"""The commands `up` and `simulate`: options, output, exit codes."""
