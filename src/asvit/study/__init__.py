"""Does a measure predict what training finds? Sampled topologies, their accuracies, rank correlations (Table 2)."""
