//! smidgen-client.
