"""The command line: options, texts and exit codes; the work is done in other packages."""
