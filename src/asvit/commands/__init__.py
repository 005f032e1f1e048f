"""The command line: options, what the terminal shows, and nothing that computes."""
