"""How complex is a network at initialisation (Section 3.2): pure functions of a callable and its inputs."""
