"""The one library call of each notebook: from the panels of a model to evidence and tables.

Every measure is taken of each subject of a panel (trained model, twins, shuffled pairing, planted
signal) and each subject is compared with its own controls by the same function, so that the rule
which judges the trained model judges the controls too.
"""
