"""How many dimensions do two languages share?

claim : evidence; simulated worlds; figures
conjecture_7_dimension : `shared_dimension.dimension_by_layer`; `shared_dimension.worlds`; `figures`

`known_dimension` does the same in networks that share a known number.
"""
