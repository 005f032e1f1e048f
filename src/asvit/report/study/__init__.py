"""The report of a study: the verdict, accuracy against every score (Fig. 2), and the table (Table 2)."""
