"""The learning rate of every step of a training."""

import logging

import torch
from timm.scheduler.cosine_lr import CosineLRScheduler

from asvit.training.recipe import LoopRecipe

logging.getLogger("timm.scheduler.cosine_lr").addHandler(logging.NullHandler())  # of trainings of one step


def learning_rates(optimiser: torch.optim.Optimizer, recipe: LoopRecipe, steps: int) -> CosineLRScheduler:
    """Linear warm-up from zero, then a cosine to zero; ``step_update(n)`` sets the rate of step ``n``."""
    return CosineLRScheduler(
        optimiser,
        t_initial=recipe.epochs * steps,
        warmup_t=recipe.warmup_epochs * steps,
        t_in_epochs=False,
    )
