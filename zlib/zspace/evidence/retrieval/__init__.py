"""Is the nearest text in another language about the same thing? Predictions 1 (`by_layer`) and 2 (`updates`),
what could look like a shared space without being one (`controls`), and the page to look around in
(`explorer`).
"""
