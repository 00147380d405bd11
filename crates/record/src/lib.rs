//! A measured row: metrics with units, JSON lines, statistics, Markdown tables.
