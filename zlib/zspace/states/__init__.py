"""Hidden states: `subjects` hands them out; they are captured, imported, generated or trained, and stored."""
