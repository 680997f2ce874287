"""Figures straight from the columns of the facts, at the speed at which these can be read.

Nothing here decides anything or decodes a fact: it believes the recorded slices, and checks them
by arithmetic that shares nothing with the rules but the numbers.
"""
