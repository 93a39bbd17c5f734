"""From numbers to verdicts: `claims` (rules, ledger), `experiments` (one call a notebook), `plots`."""
