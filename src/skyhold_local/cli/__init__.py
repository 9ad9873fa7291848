"""The commands `up` and `simulate`: options, words, exit codes."""
