//! The text form of a table.
