"""How many dimensions do two languages share? dim Z in a language model (`shared_dimension`) and in networks
that share a known number (`known_dimension`).
"""
