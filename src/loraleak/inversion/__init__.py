"""Weight autoencoders: read who is in an adapter. In: a zoo of public people's adapters. Out: an attack that turns an adapter into z.

`z` is a condition `[tokens, dim]`, in the place of a prompt's states; the victim's own model decodes it.
"""
