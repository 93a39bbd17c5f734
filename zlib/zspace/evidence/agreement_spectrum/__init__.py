"""Which directions do languages agree on, and does a second language fix the gauge? Theorem 1 (`agreement`)
and corollary 1 (`gauge`): closed forms under checks that wrong statements fail.
"""
