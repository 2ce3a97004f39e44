//! smidgen-delta.
