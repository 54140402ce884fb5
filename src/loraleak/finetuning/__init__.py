"""Fine-tuning. In: a base, private images, a recipe. Out: an adapter."""
