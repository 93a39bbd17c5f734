"""Do networks that are not told the language converge? The note's synthetic experiments: one configuration
measured (`sweep`), all of them kept (`grid`), the claims (`convergence`), tables (`views`), and the note's
orthogonality run.
"""
