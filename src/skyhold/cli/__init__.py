"""The command line: wiring for a person. Options, words and exit codes; what is done is done elsewhere."""
