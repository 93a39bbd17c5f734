"""What goes in: parallel texts (`corpora`, `stories`), models that read them (`models`), made `worlds`."""
