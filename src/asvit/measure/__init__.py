"""Networks at initialisation, measured by name: draws, repeats, error bars, the ledger (Section 3.2)."""
