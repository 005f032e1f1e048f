"""Search (Section 3.3), growth (Section 3.4) and the family they lead to. Sees measurements, never a tensor."""
