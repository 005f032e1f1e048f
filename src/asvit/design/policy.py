"""The policy of Algorithm 1: a joint categorical distribution over a space, updated by policy gradient."""

import numpy as np

from asvit.networks.space import Space, Topology

INITIAL_SPREAD = 1e-3
"""Standard deviation of the initial logits, as in the authors' release."""
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's own defaults."""


class Policy:
    """Independent categorical distributions over the choices of a space, with Adam on their logits (Williams, 1992).

    >>> from asvit.networks.space import TABLE_1
    >>> policy = Policy(TABLE_1, np.random.default_rng(0))
    >>> round(policy.entropy(), 3)
    15.332
    """

    def __init__(self, space: Space, rng: np.random.Generator, *, learning_rate: float = 0.08) -> None:
        """Start near the uniform distribution."""
        self.space = space
        self.rng = rng
        self.learning_rate = learning_rate
        choices = space.values.items()
        self.logits = {name: INITIAL_SPREAD * rng.standard_normal(len(values)) for name, values in choices}
        self._mean = {name: np.zeros(len(values)) for name, values in choices}
        self._square = {name: np.zeros(len(values)) for name, values in choices}
        self._updates = 0

    def probabilities(self) -> dict[str, np.ndarray]:
        """Probability of every value of every choice."""
        return {name: softmax(logits) for name, logits in self.logits.items()}

    def sample(self) -> Topology:
        """Draw a topology."""
        return self.space.topology(
            {name: int(self.rng.choice(self.space.values[name], p=p)) for name, p in self.probabilities().items()}
        )

    def mode(self) -> Topology:
        """The topology of highest probability."""
        return self.space.topology(
            {name: self.space.values[name][int(p.argmax())] for name, p in self.probabilities().items()}
        )

    def entropy(self) -> float:
        """``-Σ p ln p`` over all choices, in nats."""
        return float(sum(-(p * np.log(p)).sum() for p in self.probabilities().values()))

    def update(self, topology: Topology, advantage: float) -> None:
        """One step of Adam up ``advantage · ∇ ln π(topology)``, for each choice ``advantage · (onehot - p)``."""
        self._updates += 1
        for name, value in topology.choices().items():
            onehot = np.array(self.space.values[name]) == value
            gradient = advantage * (onehot - softmax(self.logits[name]))
            self._mean[name] = BETA_1 * self._mean[name] + (1 - BETA_1) * gradient
            self._square[name] = BETA_2 * self._square[name] + (1 - BETA_2) * gradient**2
            mean = self._mean[name] / (1 - BETA_1**self._updates)
            square = self._square[name] / (1 - BETA_2**self._updates)
            self.logits[name] = self.logits[name] + self.learning_rate * mean / (np.sqrt(square) + EPSILON)


def softmax(logits: np.ndarray) -> np.ndarray:
    """``exp(z) / Σ exp(z)``.

    >>> softmax(np.zeros(2)).tolist()
    [0.5, 0.5]
    """
    e = np.exp(logits - logits.max())
    return e / e.sum()
