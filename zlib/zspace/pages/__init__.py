"""What comes out: `batch` (many notebooks), `report` (HTML), `cli` (the zspace command)."""
