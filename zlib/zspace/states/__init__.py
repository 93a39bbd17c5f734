"""Hidden states: arrays on disk (`store`) and how they are recorded (`capture`)."""
