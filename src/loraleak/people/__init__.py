"""People. In: a split and a seed. Out: synthetic identities, their pictures, captions and traits; folders of pictures."""
