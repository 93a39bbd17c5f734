"""Which map carries one language's states to another's, and does its conditioning say how hard that is?
Predictions 5 and 6 (`bridging`).
"""
