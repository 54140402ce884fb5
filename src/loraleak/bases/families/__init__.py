"""One file a family of bases: what a prompt becomes, what the denoiser takes, and where its layers are."""
