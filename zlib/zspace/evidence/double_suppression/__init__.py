"""Is what a layer adds suppressed twice, by agreement and by size? Conjecture 3 in linear nets
(`linear_nets`), in trained networks whose Z is known (`networks`), and in language models (`models`).
"""
