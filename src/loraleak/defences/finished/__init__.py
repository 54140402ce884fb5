"""Defences that change a finished adapter, one file a method."""
