"""From which layer on are languages aligned, and does that depend on the language or the problem? Conjecture
4 and prediction 3 (`language_depth`), prediction 4 (`problem_depth`), conjecture 5 (`activity`).
"""
