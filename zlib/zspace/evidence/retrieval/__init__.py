"""Is the nearest text in another language about the same thing?

claim : evidence; simulated worlds; figures
prediction_1_aligned : `by_layer.retrieval_by_layer`; `by_layer.worlds`; `figures`
prediction_1_rises : `by_layer.retrieval_by_layer`; `by_layer.worlds`; `figures`
prediction_2_update_agnosticism : `updates.update_agnosticism`; `updates.worlds`; `figures`

`controls` and `control_figures` show what could look like a shared space without being one, `explorer` is a
page to look around in.
"""
