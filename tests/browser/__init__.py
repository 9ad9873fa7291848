"""The pages in a real browser; a package, so that its stacks stop at its end and not at the end of the run."""
