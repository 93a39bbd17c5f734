"""Which directions do languages agree on, and does a second language fix the gauge?

claim : evidence; simulated worlds; figures
theorem_1_agreement_spectrum : `agreement.agreement_spectrum`; none, it is proved; `figures`
corollary_1_gauge_breaking : `gauge.gauge_breaking`; none, it is proved; `figures`
"""
