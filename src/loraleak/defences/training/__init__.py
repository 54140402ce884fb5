"""Defences that change fine-tuning, one file a method."""
