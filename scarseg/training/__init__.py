"""Datasets, losses, augmentation, training and evaluation."""
