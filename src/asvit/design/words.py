"""How far a search has come, in words. Needs no torch."""

from asvit.networks.space import Space


def undecided(entropy: float, space: Space) -> float:
    """How undecided a policy is: its entropy over the largest there is, that of a uniform policy over the space.

    >>> from asvit.networks.space import TABLE_1
    >>> round(undecided(5.7, TABLE_1), 2), undecided(TABLE_1.entropy(), TABLE_1)
    (0.37, 1.0)

    Args:
        entropy: entropy of the policy in nats.
        space: space that the policy chooses from; one with a single topology leaves nothing undecided.
    """
    most = space.entropy()
    return entropy / most if most else 0.0


def undecided_in_words(entropy: float, space: Space) -> str:
    """The same in words, with the numbers that it comes from.

    >>> from asvit.networks.space import TABLE_1
    >>> undecided_in_words(14.1, TABLE_1)
    'undecided: 92 % (entropy 14.1 of 15.3 nats)'
    """
    return f"undecided: {100 * undecided(entropy, space):.0f} % (entropy {entropy:.1f} of {space.entropy():.1f} nats)"
