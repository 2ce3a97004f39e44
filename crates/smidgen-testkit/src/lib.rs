//! smidgen-testkit.
