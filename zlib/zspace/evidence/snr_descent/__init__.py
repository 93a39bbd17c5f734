"""Does the SNR fall from layer to layer, and does its fall mean alignment? Theorem 2 and observation A
(`descent`), with the worlds in which accumulation alone explains it (`dilution`).
"""
