"""Layouts of LoRA files, one file a dialect. Each says how a tensor's name is read and where the scale is."""
