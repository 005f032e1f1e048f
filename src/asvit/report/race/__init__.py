"""The report of a race: who won, how the others did, and what is worth having at what cost."""
