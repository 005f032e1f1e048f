"""The networks: Table 1 as data, architectures, and the modules that they become (Section 3.1, Fig. 1)."""
