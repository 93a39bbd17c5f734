"""What goes in: parallel texts (`corpora`) and the language models that read them (`models`)."""
