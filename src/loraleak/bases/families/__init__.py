"""Families of bases, one file each: what a prompt becomes, what the denoiser takes, and where its layers are."""
