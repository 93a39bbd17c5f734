"""Which map carries one language's states to another's, and does its conditioning say how hard that is?

claim : evidence; simulated worlds; figures
prediction_5_affine_vs_procrustes : `bridging.affine_vs_procrustes`; `bridging.gap_worlds`; `figures`
prediction_6_bridge_conditioning : `bridging.bridge_conditioning`; `bridging.conditioning_worlds`; `figures`
"""
