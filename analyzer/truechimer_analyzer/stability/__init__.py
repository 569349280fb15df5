"""How steadily clocks run: ADEV, TDEV and MTIE of stored records, from points to answers."""
