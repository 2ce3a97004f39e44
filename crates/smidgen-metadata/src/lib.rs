//! smidgen-metadata.
