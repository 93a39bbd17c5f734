"""What tests record is summed once, and README's table shows the sums."""

import reliability_counts
import table


def test_totals_sum_numbers_and_count_names_once():
    recorded = [("kills", 3), ("kills", 4), ("other", 9), ("fault classes", ["a", "b"])]
    recorded += [("fault classes", ["b", "c"]), ("architectures", 80)]
    found = reliability_counts.totals(recorded)
    assert found == {"kills": 7, "fault classes": 3, "architectures": 80}
    assert list(found) == [name for name in reliability_counts.COUNTED if name in found]
    assert reliability_counts.totals([("other", 1)]) == {}


def test_table_has_every_count_and_replaces_what_stood_there():
    readme = f"before\n{table.START}\nold\n{table.END}\nafter\n"
    found = table.replaced(readme, table.table({"kills": 1234, "encoders": 5}))
    assert "| kills | 1,234 |" in found
    assert found.index("| kills |") < found.index("| encoders | 5 |")
    assert "old" not in found
    assert found.startswith("before\n")
    assert found.endswith("\nafter\n")
