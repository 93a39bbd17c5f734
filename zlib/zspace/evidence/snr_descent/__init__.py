"""Does the SNR fall from layer to layer, and does its fall mean alignment?

claim : evidence; simulated worlds; figures
theorem_2_snr_descent : `descent.theorem_evidence`; none, it is proved; `figures`
theorem_2_every_layer : `descent.snr_descent`; `descent.worlds`; `figures`
theorem_2_accumulation : `descent.snr_descent`; `accumulation.worlds`; `figures`
"""
