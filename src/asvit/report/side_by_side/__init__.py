"""Page of a designed family beside other networks."""
