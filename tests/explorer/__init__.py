"""Plays the real commit code through every interleaving of a few invocations, deaths and clock steps within bounds."""
