"""The fleet analyzer: store, judge, advise, show."""
