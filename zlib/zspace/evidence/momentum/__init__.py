"""Do layer updates cluster while a model reasons? Conjecture 6: why a significant GARCH coefficient shows
nothing (`garch`), solutions beside copies and plain text (`solutions`), and changes of regime (`turns`).
"""
