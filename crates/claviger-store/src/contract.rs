//! The rules every store must keep.
